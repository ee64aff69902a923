-- needs: words base has ring lanes past stand
-- put: jobs of which some have a unique key. Arguments and answers as of put; for one whose key is taken created and due are 0.
local why, dropped = unpack(call('HMGET', KEYS[1], 'p', 'x'))
if why and ARGV[4] == '' then return {why} end
if dropped then return -1 end
rescue(0)
local answer, soonest, ready = {now}, nil, 0
for i = 5, #ARGV, 2 do
  local id, blob = ARGV[i], ARGV[i + 1]
  local priority, flags = byte(blob, 1, 2)
  local record = call('HGET', KEYS[3], id)
  local key = has(flags, KEY) and sub(blob, 45, 44 + read('>I2', blob, 43))
  if record then
    answer[#answer + 1] = (i - 3) / 2
    answer[#answer + 1] = read('>I8', record, 9)
    answer[#answer + 1] = read('>I8', call('HGET', KEYS[5], id) or ' ' .. record, 2)
  elseif key and not available(0, key) then
    answer[#answer + 1] = (i - 3) / 2
    answer[#answer + 1] = 0
    answer[#answer + 1] = 0
  else
    local created, due = now, now
    if has(flags, TIMED) then
      local delay, _, _, c, d = read('>ddddd', blob, 3)
      if c ~= 0 then created = c end
      due = d ~= 0 and d or created + delay
    end
    record = pack('>I8I8', due, created) .. blob
    call('ZADD', KEYS[4], 0, char(priority) .. sub(record, 1, 8) .. id)
    if key then call('HSET', KEYS[7], key, id) end
    call('HSET', KEYS[3], id, record)
    if due <= now then ready = ready + 1 elseif not soonest or due < soonest then soonest = due end
  end
end
ring(0, ready + freed)
if soonest then tell(0, soonest) end
if #answer == 1 then return now end
return answer
