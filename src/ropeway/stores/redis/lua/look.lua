-- needs: base ring past upcoming
-- wait: ARGV 4 who asks ("" = only a look), 5 the longest sleep, 6 how long the dead are kept.
-- Answers microseconds until something may be due; -1 when it is. Then whoever asks is not announced any more, else it is, in every queue.
local at, due = now + tonumber(ARGV[5]), false
for g = 0, #KEYS - 1, 10 do
  rescue(g)
  sweep(g, tonumber(ARGV[6]))
  if call('HEXISTS', KEYS[g + 1], 'c') == 0 then
    local next_one = upcoming(g)
    if next_one <= now then due = true end
    if next_one < at then at = next_one end
  end
end
if ARGV[4] ~= '' then
  for g = 0, #KEYS - 1, 10 do
    if due then call('ZREM', KEYS[g + 2], ARGV[4]) else call('ZADD', KEYS[g + 2], at, ARGV[4]) end
  end
end
return due and -1 or at - now
