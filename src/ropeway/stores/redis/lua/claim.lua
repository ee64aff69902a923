-- needs: words base lend
-- rarely: has ring lanes past upcoming meet: rescue sweep alarmed limits_of meet settle ring tell upcoming
-- claim: walk the lanes of each queue (here: one a priority). Where the head of one is not due the whole of it is not.
-- ARGV 4 limit, 5 lease, 6 token, 7 holder, 8 who has waited ("" = nobody), 9 how long the dead are kept, 10 most bytes of bodies.
-- Answers {how many queues are switched off, the first reason, member, record, old mark, ...}.
local limit, lease, token, holder = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], ARGV[7]
local who, dead_keep, room = ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local out, off, reason = {0, ''}, 0, nil
local count, parks, rare = 0, 0, nil -- rare: what few calls need
local tail = token .. pack('>I8', now) .. holder
for g = 0, #KEYS - 1, 12 do
  local switches = call('HMGET', KEYS[g + 1], 'c', 'l', 'a')
  local why, kept, alarm = switches[1], switches[2], switches[3]
  local left = who ~= '' and call('ZREM', KEYS[g + 2], who) == 1
  if why then
    off = off + 1
    reason = reason or why
  else
    local lent, from, running, most, met = 0, '-', 0, limit, 0
    if count < limit and room > 0 then
      local late = call('ZRANGEBYSCORE', KEYS[g + 6], '-inf', boot, 'LIMIT', 0, 1)[1]
      local over = call('ZRANGEBYSCORE', KEYS[g + 10], '-inf', now, 'LIMIT', 0, 1)[1]
        or dead_keep > 0 and call('ZRANGEBYSCORE', KEYS[g + 9], '-inf', now - dead_keep, 'LIMIT', 0, 1)[1]
      if late or over or kept or alarm then
        rare = rare or rarely(now, boot, channel)
        if late then rare.rescue(g) end
        if over then rare.sweep(g, dead_keep) end
        if alarm then rare.alarmed(g) end
        if kept then
          running = rare.limits_of(kept)
          if running > 0 then most = math.min(limit, count + running - call('ZCARD', KEYS[g + 6])) end
        end
      end
    end
    while count < most and room > 0 and parks < 500 do -- so many at most are parked in one call
      local head = call('ZRANGEBYLEX', KEYS[g + 4], from, '+', 'LIMIT', 0, 1)[1]
      if not head then break end
      local lane = sub(head, 1, 1)
      if read('>I8', head, 2) > now then
        from = '[' .. char(byte(head) + 1)
      else
        -- The first few tell how large the bodies are. Where lanes are full, many are looked at together, whatever is asked for.
        local look = math.min(math.max(most - count, met), lent == 0 and met == 0 and 32 or 400)
        local found = look == 1 and {head}
          or call('ZRANGEBYLEX', KEYS[g + 4], '[' .. lane, '(' .. lane .. pack('>I8', now + 1), 'LIMIT', 0, look)
        local ids = {}
        for n, member in ipairs(found) do ids[n] = sub(member, 10) end
        local records = call('HMGET', KEYS[g + 3], unpack(ids))
        local olds = call('HMGET', KEYS[g + 5], unpack(ids))
        local taken, t = {}, 0
        for n, id in ipairs(ids) do
          local record = records[n]
          local wanted = room > 0 and count + t < most
          if not record then
            call('ZREM', KEYS[g + 4], found[n])
          elseif byte(record, 18) > 3 then -- neither KEY nor KEEP alone
            rare = rare or rarely(now, boot, channel)
            wanted = rare.meet(g, id, record, found[n], olds[n], wanted) and wanted
          end
          if record and wanted then
            room = room - #record
            t = t + 1
            taken[t] = n
          end
        end
        if t > 0 then
          lend(g, taken, ids, found, records, olds, boot + lease, tail, out, running > 0)
          count = count + t
          lent = lent + t
        end
        if rare then
          local before = parks
          parks = rare.settle(g)
          if parks > before then met = 400 end
        end
      end
    end
    if (lent > 0 or left) and call('EXISTS', KEYS[g + 2]) == 1 then
      rare = rare or rarely(now, boot, channel)
      local at = rare.upcoming(g, running, nil, alarm and rare.alarmed(g))
      if at <= now then rare.ring(g, 1) else rare.tell(g, at) end
    end
  end
end
out[1], out[2] = off, reason or ''
return out
