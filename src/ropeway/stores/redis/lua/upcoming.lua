-- The next moment at which something of the queue is due or a lease ends; `now` when something is due already. A queue of which as many
-- run as may has nothing due until one of those ends. `running`: how many may, 0 any number; `first`: of r, where it was asked for already; `alarm`: the next one.
local function upcoming(g, running, first, alarm)
  local at, from = now + 3200000000000000, '-'
  first = first or call('ZRANGE', KEYS[g + 6], 0, 0, 'WITHSCORES')
  if first[2] then
    at = now + (first[2] - boot)
    if running > 0 and call('ZCARD', KEYS[g + 6]) >= running then return math.max(at, now + 1) end
  end
  if alarm and alarm < at then at = alarm end
  while true do
    local head = call('ZRANGEBYLEX', KEYS[g + 4], from, '+', 'LIMIT', 0, 1)[1]
    if not head then break end
    local due = read('>I8', head, 2)
    if due <= now then return now end
    if due < at then at = due end
    from = '[' .. char(byte(head) + 1)
  end
  return at
end
