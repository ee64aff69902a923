-- How jobs are lent out: those of which `taken` has the numbers leave their places in w, their leases enter r, their marks get the token.
-- Adds member, record, old mark to `out`. `tail`: token, now and holder; `limited`: whether the queue has a limit.
local function lend(g, taken, ids, members, records, olds, ending, tail, out, limited)
  local places, leases, marks, o = {}, {}, {}, #out
  local known, fresh = nil, nil -- the mark of the last one that was never claimed before: most are alike
  for t, n in ipairs(taken) do
    local id, member, record, old = ids[n], members[n], records[n], olds[n]
    local flags, mark = byte(record, 18), nil
    if old or flags ~= known then
      local more = (limited and LIMITED or 0) + (flags >= LANE and HOLDS or 0)
      if old then
        local attempts, deaths, was = read('>I4I4B', old, 10)
        mark = pack('>I4I4B', attempts + 1, deaths, was - was % HISTORY + was % TTL + more) .. tail
      else
        mark = pack('>I4I4B', 1, 0, flags % TTL + more) .. tail
        known, fresh = flags, mark
      end
    else
      mark = fresh
    end
    places[t] = member
    marks[2 * t - 1] = id
    marks[2 * t] = sub(member, 1, 9) .. mark
    leases[2 * t - 1] = ending
    leases[2 * t] = id
    out[o + 1], out[o + 2], out[o + 3] = member, record, old or ''
    o = o + 3
  end
  if #places > 1 and #places == #members then -- all of a stretch: it goes as one
    call('ZREMRANGEBYLEX', KEYS[g + 4], '[' .. members[1], '[' .. members[#members])
  else
    call('ZREM', KEYS[g + 4], unpack(places))
  end
  call('ZADD', KEYS[g + 6], unpack(leases))
  call('HSET', KEYS[g + 5], unpack(marks))
end
