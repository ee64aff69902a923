-- needs: words base has ring lanes past stand lend
-- pick: these jobs, if they wait. ARGV 4 lease, 5 token, 6 holder, then the ids. Answers {number, member, record, old mark, ...}.
rescue(0)
local answer, taken = {}, false
local tail = ARGV[5] .. pack('>I8', now) .. ARGV[6]
local running = limits_of(call('HGET', KEYS[1], 'l'))
if call('HEXISTS', KEYS[1], 'a') == 1 then alarmed(0) end
local left = running > 0 and running - call('ZCARD', KEYS[6]) or 1e9
for n = 7, #ARGV do
  local id = ARGV[n]
  local state, record, mark, place = stand(0, id)
  if state == 'ready' or state == 'delayed' then
    local ends = expires(record)
    if ends and ends <= now then
      leave(0, id, record, place)
      purge(0, id)
    elseif left > 0 then
      local lane = byte(record, 18) >= LANE and not (mark and has(byte(mark, 18), HOLDS)) and lane_of(record)
      if not lane or places(0, lane) > 0 then
        leave(0, id, record, place)
        answer[#answer + 1] = n - 7
        lend(0, {1}, {id}, {place .. id}, {record}, {mark}, boot + tonumber(ARGV[4]), tail, answer, running > 0)
        if lane then call('ZADD', KEYS[11], 0, lane .. '\0' .. id) end
        left = left - 1
        taken = true
      end
    end
  end
end
ring(0, freed)
if taken then tell(0, now + tonumber(ARGV[4])) end
return answer
