-- needs: base ring past upcoming lend
-- claim: walk the lanes of each queue. A lane is one priority; where its head is not due the whole lane is not.
-- ARGV 4 limit, 5 lease, 6 token, 7 holder, 8 who has waited ("" = nobody), 9 how long the dead are kept, 10 most bytes of bodies.
-- Answers {how many queues are switched off, the first reason, member, record, old mark, ...}.
local limit, lease, token, holder = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], ARGV[7]
local who, dead_keep, room = ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local out, off, reason = {0, ''}, 0, nil
local count = 0
for g = 0, #KEYS - 1, 10 do
  local why = call('HGET', KEYS[g + 1], 'c')
  if who ~= '' then call('ZREM', KEYS[g + 2], who) end
  if why then
    off = off + 1
    reason = reason or why
  elseif count < limit and room > 0 then
    rescue(g)
    sweep(g, dead_keep)
    local lent, from = 0, '-'
    while count < limit and room > 0 do
      local head = call('ZRANGEBYLEX', KEYS[g + 4], from, '+', 'LIMIT', 0, 1)[1]
      if not head then break end
      local lane = char(byte(head))
      if read('>I8', head, 2) > now then
        from = '[' .. char(byte(head) + 1)
      else
        local most = math.min(limit - count, lent == 0 and 32 or 400) -- the first few tell how large the bodies are
        local found = most == 1 and {head}
          or call('ZRANGEBYLEX', KEYS[g + 4], '[' .. lane, '(' .. lane .. pack('>I8', now + 1), 'LIMIT', 0, most)
        local ids = {}
        for n, member in ipairs(found) do ids[n] = sub(member, 10) end
        local records = call('HMGET', KEYS[g + 3], unpack(ids))
        local olds = call('HMGET', KEYS[g + 5], unpack(ids))
        local taken, members, bodies, marks = {}, {}, {}, {}
        for n, id in ipairs(ids) do
          local record = records[n]
          local ends = record and expires(record)
          if not record then
            call('ZREM', KEYS[g + 4], found[n])
          elseif ends and ends <= now then
            call('ZREM', KEYS[g + 4], found[n])
            purge(g, id)
          elseif room > 0 then
            room = room - #record
            local t = #taken + 1
            taken[t], members[t], bodies[t], marks[t] = id, found[n], record, olds[n]
          end
        end
        if #taken > 0 then
          lend(g, taken, members, bodies, marks, boot + lease, token, holder, out)
          count = count + #taken
          lent = lent + #taken
        end
      end
    end
    if lent > 0 and call('EXISTS', KEYS[g + 2]) == 1 then
      local at = upcoming(g)
      if at <= now then ring(g, 1) else tell(g, at) end
    end
  end
end
out[1], out[2] = off, reason or ''
return out
