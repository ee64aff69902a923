-- needs: words base has ring lanes past upcoming
-- wait: ARGV 4 who asks ("" = only a look), 5 the longest sleep, 6 how long the dead are kept, 7 the time between two looks of all who wait
-- together (0 = each looks for itself), 8 how long one sleeps who waits alone everywhere.
-- Answers microseconds until something may be due; -1 when it is. Then whoever asks is not announced any more, else it is, in every queue.
--
-- Those who wait take turns: each sleeps so long that one of them looks in every interval, however many there are. So what a dead one was to
-- wake for is found by the next. And where two are awake for a moment to come already, the others need not be.
local who, nap, each = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[7])
local at, due, alone = now + nap, false, true
for g = 0, #KEYS - 1, 12 do
  local coming = now + 3200000000000000
  if call('EXISTS', KEYS[g + 3]) == 1 then -- else it is empty, as idle queues are
    local first = call('ZRANGE', KEYS[g + 6], 0, 0, 'WITHSCORES')
    if first[2] and tonumber(first[2]) <= boot then
      rescue(g)
      first = nil
    end
    sweep(g, tonumber(ARGV[6]))
    local off, kept, alarm = unpack(call('HMGET', KEYS[g + 1], 'c', 'l', 'a'))
    if not off then coming = upcoming(g, (limits_of(kept)), first, alarm and alarmed(g)) end
  end
  if coming <= now then
    due = true
  elseif who ~= '' and each > 0 then
    local others, turn = {}, at
    local found = call('ZRANGEBYSCORE', KEYS[g + 2], now + 1, '+inf', 'WITHSCORES', 'LIMIT', 0, 3)
    for n = 1, #found, 2 do
      if found[n] ~= who then others[#others + 1] = tonumber(found[n + 1]) end
    end
    if others[1] then
      alone = false
      turn = now + each
      if others[1] <= now + 2 * each then turn = turn + each * call('ZCOUNT', KEYS[g + 2], now, '+inf') end
      if others[2] and others[2] <= coming then coming = turn end
    end
    at = math.min(at, turn, coming)
  else
    at = math.min(at, coming)
  end
end
if alone and each > 0 then at = math.min(at, now + tonumber(ARGV[8])) end
if who ~= '' then
  for g = 0, #KEYS - 1, 12 do
    if due then call('ZREM', KEYS[g + 2], who) else call('ZADD', KEYS[g + 2], at, who) end
  end
end
return due and -1 or at - now
