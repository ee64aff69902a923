-- needs: words base has lanes past stand
-- browse by id: ARGV 4 how long the dead are kept, then the ids. Answers {now, boot, then five a job as page, with the state in front}.
rescue(0)
sweep(0, tonumber(ARGV[4]))
local out = {now, boot}
for n = 5, #ARGV do
  local id = ARGV[n]
  local state, record, mark, place, moment = stand(0, id)
  if state then
    local flags = mark and byte(mark, 18) or 0
    local o = #out
    out[o + 1] = state
    out[o + 2] = (state == 'ready' or state == 'delayed') and place .. id or (moment or '0') .. '/' .. id
    out[o + 3], out[o + 4] = record, mark or ''
    out[o + 5] = has(flags, HISTORY) and call('HGET', KEYS[8], id) or ''
    out[o + 6] = has(flags, RESULT) and call('HGET', KEYS[8], 'r' .. id) or ''
  end
end
return out
