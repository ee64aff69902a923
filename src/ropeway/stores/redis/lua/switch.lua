-- needs: words base has ring
-- pause and resume: ARGV 4 and 5 for put and claim: "" = as it is, "-" = open, "+reason" = off. An opened queue wakes who waits.
for n, field in ipairs({'p', 'c'}) do
  local wish = ARGV[3 + n]
  if wish == '-' then call('HDEL', KEYS[1], field) elseif wish ~= '' then call('HSET', KEYS[1], field, sub(wish, 2)) end
end
if ARGV[5] == '-' then ring(0, 64, '?') end
return 1
