-- needs: base ring past
-- nack and bury: ARGV 4 "n" or "b", then five a job: id, token, delay, "1" when the attempt is given back and a byte of priority, attempt.
-- Answers a byte a job: 1 done, 0 the claim is void.
local bury = ARGV[4] == 'b'
local answers, ready, soonest = {}, 0, nil
for i = 5, #ARGV, 5 do
  local id = ARGV[i]
  local mark = call('HGET', KEYS[5], id)
  if not mark or sub(mark, 19, 26) ~= ARGV[i + 1] then
    answers[#answers + 1] = '0'
  else
    answers[#answers + 1] = '1'
    local delay, restore, attempt = tonumber(ARGV[i + 2]), sub(ARGV[i + 3], 1, 1) == '1', ARGV[i + 4]
    local due, attempts, deaths, flags = read('>I8I4I4B', mark, 2)
    local priority = #ARGV[i + 3] > 1 and sub(ARGV[i + 3], 2) or sub(mark, 1, 1)
    if restore then attempts = attempts - 1 end
    if attempt ~= '' and not has(flags, HISTORY) then flags = flags + HISTORY end
    call('ZREM', KEYS[6], id)
    if bury then
      call('ZADD', KEYS[9], now, id)
      if has(flags, KEY) then free(0, id, call('HGET', KEYS[3], id)) end
    else
      due = restore and delay == 0 and math.min(due, now) or now + delay
      call('ZADD', KEYS[4], 0, priority .. pack('>I8', due) .. id)
      if due <= now then ready = ready + 1 elseif not soonest or due < soonest then soonest = due end
    end
    call('HSET', KEYS[5], id, priority .. pack('>I8I4I4B', due, attempts, deaths, flags))
    if attempt ~= '' then remember(0, id, attempt) end
  end
end
ring(0, ready)
if soonest then tell(0, soonest) end
return table.concat(answers)
