-- needs: words base has lanes past
-- drop: remove the queue, unless it holds a job. Answers whether. ARGV 4 how long the dead are kept, 5 milliseconds for which its name may
-- be remembered elsewhere: for so long who puts is told that it is gone.
rescue(0)
sweep(0, tonumber(ARGV[4]))
if call('HLEN', KEYS[3]) > 0 then return 0 end
for n, key in ipairs(KEYS) do
  if n ~= 2 and n ~= 13 then call('DEL', key) end -- who waits, waits on
end
call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 1)
call('HSET', KEYS[1], 'x', '')
call('PEXPIRE', KEYS[1], ARGV[5])
return 1
