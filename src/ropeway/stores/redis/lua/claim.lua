-- needs: base ring lanes past upcoming lend
-- claim: walk the lanes of each queue (here: one a priority). Where the head of one is not due the whole of it is not.
-- ARGV 4 limit, 5 lease, 6 token, 7 holder, 8 who has waited ("" = nobody), 9 how long the dead are kept, 10 most bytes of bodies.
-- Answers {how many queues are switched off, the first reason, member, record, old mark, ...}.
local limit, lease, token, holder = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], ARGV[7]
local who, dead_keep, room = ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local out, off, reason = {0, ''}, 0, nil
local count, parks = 0, 500 -- so many at most are parked in one call
for g = 0, #KEYS - 1, 12 do
  local why, kept = unpack(call('HMGET', KEYS[g + 1], 'c', 'l'))
  local left = who ~= '' and call('ZREM', KEYS[g + 2], who) == 1
  if why then
    off = off + 1
    reason = reason or why
  else
    local lent, from, running, most = 0, '-', 0, limit
    if count < limit and room > 0 then
      rescue(g)
      sweep(g, dead_keep)
      if kept then
        running = limits_of(kept)
        if running > 0 then most = math.min(limit, count + running - call('ZCARD', KEYS[g + 6])) end
      end
    end
    local met = 0 -- that were parked: then many are looked at together, whatever is asked for
    while count < most and room > 0 and parks > 0 do
      local head = call('ZRANGEBYLEX', KEYS[g + 4], from, '+', 'LIMIT', 0, 1)[1]
      if not head then break end
      local lane = char(byte(head))
      if read('>I8', head, 2) > now then
        from = '[' .. char(byte(head) + 1)
      else
        local look = math.min(math.max(most - count, met), lent == 0 and met == 0 and 32 or 400) -- the first few tell how large the bodies are
        local found = look == 1 and {head}
          or call('ZRANGEBYLEX', KEYS[g + 4], '[' .. lane, '(' .. lane .. pack('>I8', now + 1), 'LIMIT', 0, look)
        local ids = {}
        for n, member in ipairs(found) do ids[n] = sub(member, 10) end
        local records = call('HMGET', KEYS[g + 3], unpack(ids))
        local olds = call('HMGET', KEYS[g + 5], unpack(ids))
        local taken, members, bodies, marks = {}, {}, {}, {}
        local entered, holders = nil, {} -- who gets a place in a lane, by this very step
        for n, id in ipairs(ids) do
          local record = records[n]
          if not record then
            call('ZREM', KEYS[g + 4], found[n])
          else
            local flags, ends, full = byte(record, 18), nil, false
            if flags > KEEP then
              ends = expires(record)
              if flags >= LANE and not (ends and ends <= now) and not (olds[n] and has(byte(olds[n], 18), HOLDS)) then
                entered = entered or {}
                local mine = lane_of(record)
                full = places(g, mine) - (entered[mine] or 0) < 1
                if full then
                  park(g, mine, found[n])
                  parks, met = parks - 1, 400
                elseif count + #taken < most and room > 0 then
                  entered[mine] = (entered[mine] or 0) + 1
                  holders[#holders + 1] = 0
                  holders[#holders + 1] = mine .. '\0' .. id
                end
              end
            end
            if ends and ends <= now then
              call('ZREM', KEYS[g + 4], found[n])
              purge(g, id)
            elseif not full and room > 0 and count + #taken < most then
              room = room - #record
              local t = #taken + 1
              taken[t], members[t], bodies[t], marks[t] = id, found[n], record, olds[n]
            end
          end
        end
        if #taken > 0 then
          lend(g, taken, members, bodies, marks, boot + lease, token, holder, out, running > 0)
          if #holders > 0 then call('ZADD', KEYS[g + 11], unpack(holders)) end
          count = count + #taken
          lent = lent + #taken
        end
      end
    end
    if (lent > 0 or left) and call('EXISTS', KEYS[g + 2]) == 1 then
      local at = upcoming(g, running)
      if at <= now then ring(g, 1) else tell(g, at) end
    end
  end
end
out[1], out[2] = off, reason or ''
return out
