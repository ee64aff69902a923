-- The next moment at which something of the queue is due or a lease ends; `now` when something is due already.
local function upcoming(g)
  local at, from = now + 3200000000000000, '-'
  while true do
    local head = call('ZRANGEBYLEX', KEYS[g + 4], from, '+', 'LIMIT', 0, 1)[1]
    if not head then break end
    local due = read('>I8', head, 2)
    if due <= now then return now end
    if due < at then at = due end
    from = '[' .. char(byte(head) + 1)
  end
  local first = call('ZRANGE', KEYS[g + 6], 0, 0, 'WITHSCORES')
  if first[2] then at = math.min(at, now + (first[2] - boot)) end
  return at
end
