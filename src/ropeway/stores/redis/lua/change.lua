-- needs: words base has ring lanes past stand
-- requeue and delete: ARGV 4 "r" or "d", 5 the states it may be in, a letter each, then the ids. Answers how many.
local LETTER = {ready = 'r', delayed = 'l', dead = 'x', done = 'n'}
rescue(0)
local count, requeue = 0, ARGV[4] == 'r'
for n = 6, #ARGV do
  local id = ARGV[n]
  local state, record, mark, place = stand(0, id)
  local may = state and state ~= 'running' and string.find(ARGV[5], LETTER[state], 1, true)
  local key = may and has(byte(record, 18), KEY) and key_of(record)
  if may and requeue and state == 'dead' and key and not available(0, key) then may = false end
  if may then
    count = count + 1
    if state == 'dead' then call('ZREM', KEYS[9], id)
    elseif state == 'done' then call('ZREM', KEYS[10], id)
    else leave(0, id, record, place) end
    if requeue then
      local attempts, deaths, flags = 0, 0, byte(record, 18) % TTL
      if mark then attempts, deaths, flags = read('>I4I4B', mark, 10) end
      if state ~= 'delayed' then
        attempts, deaths = 0, 0
        if has(flags, RESULT) then
          call('HDEL', KEYS[8], 'r' .. id)
          flags = flags - RESULT
        end
      end
      place = sub(place, 1, 1) .. pack('>I8', now)
      call('ZADD', KEYS[4], 0, place .. id)
      call('HSET', KEYS[5], id, place .. pack('>I4I4B', attempts, deaths, flags))
      if key then call('HSET', KEYS[7], key, id) end
    else
      purge(0, id)
    end
  end
end
ring(0, requeue and count or freed)
return count
