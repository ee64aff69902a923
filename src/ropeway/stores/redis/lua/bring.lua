-- needs: words base has ring lanes past stand
-- bring: seven a job from ARGV 4 on: id, blob (with created and due), state (w waits, x dead, n done), moment ("" = now), attempts and deaths
-- as eight bytes, history, result. Answers a byte a job: 1 it is here or was, 0 its key is taken.
rescue(0)
local answers, ready, soonest = {}, 0, nil
for i = 4, #ARGV, 7 do
  local id, blob, state, moment = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]) or now
  local counts, history, result = ARGV[i + 4], ARGV[i + 5], ARGV[i + 6]
  local priority, flags = byte(blob, 1, 2)
  local key = has(flags, KEY) and sub(blob, 45, 44 + read('>I2', blob, 43))
  local here = call('HEXISTS', KEYS[3], id) == 1
  if here and not stand(0, id) then -- done, and its time is over
    call('ZREM', KEYS[10], id)
    purge(0, id)
    here = false
  end
  if here or (state == 'n' and moment <= now) then
    answers[#answers + 1] = '1'
  elseif key and state ~= 'x' and not available(0, key) then
    answers[#answers + 1] = '0'
  else
    answers[#answers + 1] = '1'
    local _, _, _, created, due = read('>ddddd', blob, 3)
    if created == 0 then created = now end
    if state == 'w' then due = moment elseif due == 0 then due = created end
    local record = pack('>I8I8', due, created) .. blob
    local place = char(priority) .. sub(record, 1, 8)
    flags = flags % TTL
    if history ~= '' then flags = flags + HISTORY end
    if result ~= '' then flags = flags + RESULT end
    if state == 'w' then
      call('ZADD', KEYS[4], 0, place .. id)
      if due <= now then ready = ready + 1 elseif not soonest or due < soonest then soonest = due end
    else
      call('ZADD', KEYS[state == 'x' and 9 or 10], moment, id)
    end
    if key and state ~= 'x' then call('HSET', KEYS[7], key, id) end
    if history ~= '' then call('HSET', KEYS[8], id, history) end
    if result ~= '' then call('HSET', KEYS[8], 'r' .. id, result) end
    if state ~= 'w' or history ~= '' or counts ~= '\0\0\0\0\0\0\0\0' then
      call('HSET', KEYS[5], id, place .. counts .. char(flags))
    end
    call('HSET', KEYS[3], id, record)
  end
end
ring(0, ready + freed)
if soonest then tell(0, soonest) end
return table.concat(answers)
