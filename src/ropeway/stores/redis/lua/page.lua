-- needs: words base has lanes past
-- browse: a page of one state. ARGV 4 the state, 5 the place after which it begins (a member of w, or a score), 6 the id that goes with a
-- score, 7 how many, 8 how long the dead are kept, 9 most bytes. Answers {now, boot, more?, then five a job: place or score with id, record,
-- mark, history, result}.
local state, after, after_id, limit, room = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[9])
rescue(0)
sweep(0, tonumber(ARGV[8]))
local out, count, more = {now, boot, 0}, 0, 0
local function show(where, id)
  local record = call('HGET', KEYS[3], id)
  if not record then return end
  local mark = call('HGET', KEYS[5], id)
  local flags = mark and byte(mark, 18) or 0
  local n = #out
  out[n + 1], out[n + 2], out[n + 3] = where, record, mark or ''
  out[n + 4] = has(flags, HISTORY) and call('HGET', KEYS[8], id) or ''
  out[n + 5] = has(flags, RESULT) and call('HGET', KEYS[8], 'r' .. id) or ''
  count, room = count + 1, room - #record - #out[n + 4] - #out[n + 5]
end
local function full()
  if count < limit and room > 0 then return false end
  more = 1
  return true
end
local function comes_first(one, other) -- byte by byte: the order of strings follows the locale
  for n = 1, #one do
    local a, b = byte(one, n), byte(other, n)
    if a ~= b then return a < b end
  end
  return false
end
-- Of waiting ones and parked ones, which are rare, those that come first.
local function places(...)
  local found = call('ZRANGEBYLEX', KEYS[4], ...)
  local parked = call('ZRANGEBYLEX', KEYS[12], ...)
  if #parked == 0 then return found end
  for _, member in ipairs(parked) do found[#found + 1] = member end
  table.sort(found, comes_first)
  return found
end
local function waiting()
  local from = after == '' and '-' or '(' .. after
  while not full() do
    local head = places(from, '+', 'LIMIT', 0, 1)[1]
    if not head then return end
    local lane, due = char(byte(head)), read('>I8', head, 2)
    local border = lane .. pack('>I8', now + 1)
    local low, high = from, '(' .. border
    if state == 'delayed' then
      if due <= now then low = '[' .. border end
      high = '(' .. char(byte(head) + 1)
    end
    for _, member in ipairs(places(low, high, 'LIMIT', 0, limit - count)) do
      if full() then return end
      show(member, sub(member, 10))
    end
    from = '[' .. char(byte(head) + 1)
  end
end
local function ended(zset)
  local at = after == '' and 0 or call('ZCOUNT', zset, '-inf', '(' .. after)
  while not full() do
    local found = call('ZRANGE', zset, at, at + 99, 'WITHSCORES')
    if #found == 0 then return end
    for n = 1, #found, 2 do
      local id, score = found[n], tonumber(found[n + 1])
      local seen = after ~= '' and score == tonumber(after) and not comes_first(after_id, id)
      if not seen and not (state == 'done' and score <= now) then
        if full() then return end
        show(found[n + 1] .. '/' .. id, id)
      end
    end
    at = at + 100
  end
end
if state == 'running' then ended(KEYS[6])
elseif state == 'dead' then ended(KEYS[9])
elseif state == 'done' then ended(KEYS[10])
else waiting() end
out[3] = more
return out
