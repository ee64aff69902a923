-- needs: words base has ring lanes past ends
-- nack and bury: ARGV 4 "n" or "b", or "e" for a nack with other contents, then five a job (six with "e"): id, token, delay, "1" when the
-- attempt is given back and a byte of priority, attempt [, blob ("" = as it is)]. Answers a byte a job: 1 done, 0 the claim is void.
local bury, step = ARGV[4] == 'b', ARGV[4] == 'e' and 6 or 5
local answers, ready, soonest, limited, died = {}, 0, nil, 0, false
for i = 5, #ARGV, step do
  local id = ARGV[i]
  local mark = call('HGET', KEYS[5], id)
  if not mark or sub(mark, 19, 26) ~= ARGV[i + 1] then
    answers[#answers + 1] = '0'
  else
    answers[#answers + 1] = '1'
    local delay, restore, attempt = tonumber(ARGV[i + 2]), sub(ARGV[i + 3], 1, 1) == '1', ARGV[i + 4]
    local blob = step == 6 and ARGV[i + 5] or ''
    local due, attempts, deaths, flags = read('>I8I4I4B', mark, 2)
    local priority = #ARGV[i + 3] > 1 and sub(ARGV[i + 3], 2) or sub(mark, 1, 1)
    local record = (blob ~= '' or has(flags, HOLDS) or bury and has(flags, KEY)) and call('HGET', KEYS[3], id)
    if byte(attempt, 3) == 0 then attempt = sub(attempt, 1, 2) .. '\206' .. pack('>I4', attempts) .. sub(attempt, 4) end -- no number: the claim's
    if restore then attempts = attempts - 1 end
    if attempt ~= '' and not has(flags, HISTORY) then flags = flags + HISTORY end
    if has(flags, LIMITED) then
      limited = limited + 1
      flags = flags - LIMITED
    end
    local gives = has(flags, HOLDS) and (bury or width(0) > 1)
    if gives then flags = flags - HOLDS end
    call('ZREM', KEYS[6], id)
    if blob ~= '' then
      record = sub(record, 1, 16) .. blob
      flags = flags - flags % TTL + byte(record, 18) % TTL
      call('HSET', KEYS[3], id, record)
    end
    if bury then
      died = true
      call('ZADD', KEYS[9], now, id)
      if has(flags, KEY) then free(0, id, record) end
    else
      due = restore and delay == 0 and math.min(due, now) or now + delay
      local moment, ends = due, has(flags, HOLDS) and expires(record)
      call('ZADD', KEYS[4], 0, priority .. pack('>I8', due) .. id)
      if ends and ends < due then
        moment = ends
        call('ZADD', KEYS[11], 0, alarm(ends, id))
        call('HSET', KEYS[1], 'a', '')
      end
      if moment <= now then ready = ready + 1 elseif not soonest or moment < soonest then soonest = moment end
    end
    call('HSET', KEYS[5], id, priority .. pack('>I8I4I4B', due, attempts, deaths, flags))
    if attempt ~= '' then remember(0, id, attempt) end
    if gives then release(0, id, record) end
  end
end
if freed + limited > 0 then ready = math.min(ready + freed + limited, call('ZCARD', KEYS[4])) end
ring(0, ready)
if soonest then tell(0, soonest) end
if died then over() end
return table.concat(answers)
