-- needs: base ring past stand lend
-- pick: these jobs, if they wait. ARGV 4 lease, 5 token, 6 holder, then the ids. Answers {number, member, record, old mark, ...}.
rescue(0)
local answer, taken = {}, false
for n = 7, #ARGV do
  local id = ARGV[n]
  local state, record, mark, place = stand(0, id)
  if state == 'ready' or state == 'delayed' then
    local ends = expires(record)
    if ends and ends <= now then
      call('ZREM', KEYS[4], place .. id)
      purge(0, id)
    else
      answer[#answer + 1] = n - 7
      lend(0, {id}, {place .. id}, {record}, {mark}, boot + tonumber(ARGV[4]), ARGV[5], ARGV[6], answer)
      taken = true
    end
  end
end
if taken then tell(0, now + tonumber(ARGV[4])) end
return answer
