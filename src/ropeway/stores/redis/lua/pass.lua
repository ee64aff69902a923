-- needs: words base has ring lanes past upcoming
-- A bell that nobody here waits for any more is passed on; with ARGV 4 (who), that one leaves, and another takes over its watch.
for g = 0, #KEYS - 1, 12 do
  if ARGV[4] ~= '' then call('ZREM', KEYS[g + 2], ARGV[4]) end
  local off, kept, alarm = unpack(call('HMGET', KEYS[g + 1], 'c', 'l', 'a'))
  if not off and call('EXISTS', KEYS[g + 2]) == 1 then
    local at = upcoming(g, (limits_of(kept)), nil, alarm and alarmed(g))
    if at <= now then ring(g, 1) else tell(g, at) end
  end
end
return 1
