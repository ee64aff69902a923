-- needs: words base has ring lanes
-- limit: ARGV 4 and 5 how many of the queue, and of each of its lanes, may run; 6 up to which lane all is done ("" = nothing yet), 7 how many
-- steps. Answers up to which lane it is done now, "" when all is.
local from, steps = ARGV[6], tonumber(ARGV[7])
if from == '' then
  if ARGV[4] == '0' and ARGV[5] == '1' then call('HDEL', KEYS[1], 'l') else call('HSET', KEYS[1], 'l', ARGV[4] .. ' ' .. ARGV[5]) end
  if ARGV[4] ~= '0' then -- what runs already makes room at its end, too
    for _, id in ipairs(call('ZRANGE', KEYS[6], 0, -1)) do
      local mark = call('HGET', KEYS[5], id)
      if mark and not has(byte(mark, 18), LIMITED) then
        call('HSET', KEYS[5], id, sub(mark, 1, 17) .. char(byte(mark, 18) + LIMITED) .. sub(mark, 19))
      end
    end
  end
  from = '-'
end
-- Whatever is parked waits again, and is parked anew where it is still too much.
local all = call('ZRANGEBYLEX', KEYS[11], from, '+', 'LIMIT', 0, steps)
for _, member in ipairs(all) do
  if byte(member, 3 + read('>I2', member)) == 1 then unpark(0, member) end
end
ring(0, 64, '?')
return #all == steps and '(' .. all[#all] or ''
