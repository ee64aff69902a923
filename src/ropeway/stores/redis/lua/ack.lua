-- needs: words base
-- ack: ARGV 4 two or four arguments a job: id, token [, for how long it is kept ("" = as it was put), result ("" = none)].
-- Answers a byte a job: 1 done, 0 the claim is void.
local step = tonumber(ARGV[4])
local ids = {}
for i = 5, #ARGV, step do ids[#ids + 1] = ARGV[i] end
local marks = call('HMGET', KEYS[5], unpack(ids))
local plain, limited = step == 2 and #ids, 0 -- how many there are, if all of them just go: most acks
for n, mark in ipairs(marks) do
  local flags = mark and byte(mark, 18)
  if flags == LIMITED then
    limited = limited + 1
  elseif flags ~= 0 then
    plain = false
    break
  end
  if sub(mark, 19, 26) ~= ARGV[4 + 2 * n] then
    plain = false
    break
  end
end
if plain and call('ZREM', KEYS[6], unpack(ids)) == plain then
  call('HDEL', KEYS[3], unpack(ids))
  call('HDEL', KEYS[5], unpack(ids))
  if limited == 0 then return string.rep('1', plain) end
else
  plain = false
end
-- parts: has ring lanes past ends
if plain then
  ring(0, math.min(limited, call('ZCARD', KEYS[4])))
  return string.rep('1', plain)
end
local answers, gone, seen, kept = {}, {}, {}, false
limited = 0
for n, id in ipairs(ids) do
  local mark, i = marks[n], 5 + (n - 1) * step
  if not mark or sub(mark, 19, 26) ~= ARGV[i + 1] or seen[id] then
    answers[n] = '0'
  else
    seen[id] = true
    answers[n] = '1'
    local flags = byte(mark, 18)
    local keep, result = step == 4 and ARGV[i + 2] or '', step == 4 and ARGV[i + 3] or ''
    if has(flags, LIMITED) then
      limited = limited + 1
      flags = flags - LIMITED
    end
    local holds = has(flags, HOLDS)
    local record = (holds or has(flags, KEY) or has(flags, KEEP)) and call('HGET', KEYS[3], id)
    keep = keep ~= '' and tonumber(keep) or has(flags, KEEP) and read('>d', record, 35) or 0
    if keep > 0 then
      call('ZREM', KEYS[6], id)
      if result ~= '' then
        call('HSET', KEYS[8], 'r' .. id, result)
        flags = flags + RESULT
      end
      if holds then flags = flags - HOLDS end
      call('ZADD', KEYS[10], now + keep, id)
      call('HSET', KEYS[5], id, sub(mark, 1, 17) .. char(flags))
      kept = true
    else
      gone[#gone + 1] = id
      if has(flags, HISTORY) then call('HDEL', KEYS[8], id) end
      if has(flags, KEY) then free(0, id, record) end
    end
    if holds then release(0, id, record) end
  end
end
if #gone > 0 then
  call('ZREM', KEYS[6], unpack(gone))
  call('HDEL', KEYS[3], unpack(gone))
  call('HDEL', KEYS[5], unpack(gone))
end
if freed + limited > 0 then ring(0, math.min(freed + limited, call('ZCARD', KEYS[4]))) end
if kept then over() end
return table.concat(answers)
