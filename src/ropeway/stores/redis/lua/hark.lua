-- needs: words base has
-- Announce who waits for ends: ARGV 4 who, 5 for how long at most.
for _, f in ipairs(KEYS) do
  local nap = tonumber(ARGV[5])
  call('ZADD', f, now + nap, ARGV[4])
  local last = math.floor(nap / 1000) + 60000
  if call('PTTL', f) < last then call('PEXPIRE', f, last) end
end
return 1
