-- needs: words base has lanes past
-- counts: ARGV 4 how long the dead are kept. Answers {ready, delayed, running, dead, done, oldest, exact, put stopped, claim stopped, limits}.
local ready, oldest = 0, nil
rescue(0)
sweep(0, tonumber(ARGV[4]))
for _, places in ipairs({KEYS[4], KEYS[12]}) do
  local from = '-'
  while true do
    local head = call('ZRANGEBYLEX', places, from, '+', 'LIMIT', 0, 1)[1]
    if not head then break end
    local due, lane = read('>I8', head, 2), char(byte(head))
    if due <= now then
      ready = ready + call('ZLEXCOUNT', places, '[' .. lane, '(' .. lane .. pack('>I8', now + 1))
      if not oldest or due < oldest then oldest = due end
    end
    from = '[' .. char(byte(head) + 1)
  end
end
local running = call('ZCARD', KEYS[6])
local late = call('ZCOUNT', KEYS[6], '-inf', boot)
local done = call('ZCARD', KEYS[10]) - call('ZCOUNT', KEYS[10], '-inf', now)
local dead = call('ZCARD', KEYS[9])
if tonumber(ARGV[4]) > 0 then dead = dead - call('ZCOUNT', KEYS[9], '-inf', now - tonumber(ARGV[4])) end
local p, c, l = unpack(call('HMGET', KEYS[1], 'p', 'c', 'l'))
return {
  ready + late, call('ZCARD', KEYS[4]) + call('ZCARD', KEYS[12]) - ready, running - late, dead, done,
  oldest or -1, late == 0 and 1 or 0, p and '+' .. p or '', c and '+' .. c or '', l or '',
}
