-- needs: words base has ring
-- extend: ARGV 4 lease, then id and token of each. Answers a byte a job: 1 renewed, 0 the claim is void.
local ids, ending = {}, boot + tonumber(ARGV[4])
for i = 5, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local marks = call('HMGET', KEYS[5], unpack(ids))
local answers, leases, held = {}, {}, {}
for n, id in ipairs(ids) do
  if marks[n] and sub(marks[n], 19, 26) == ARGV[4 + 2 * n] then
    answers[n] = '1'
    leases[#leases + 1] = ending
    leases[#leases + 1] = id
    held[#held + 1] = id
  else
    answers[n] = '0'
  end
end
if #leases > 0 then
  call('ZREM', KEYS[6], unpack(held)) -- a server that is full lets a script go on that began by making room
  call('ZADD', KEYS[6], unpack(leases))
  tell(0, now + tonumber(ARGV[4]))
end
return table.concat(answers)
