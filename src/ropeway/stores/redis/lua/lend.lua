-- How a job is lent out: its place leaves w, its lease enters r, its mark gets the token. Adds member, record, old mark to `out`.
local marks_of_new = {}
local function lend(g, ids, members, records, olds, ending, token, holder, out, limited)
  local leases, marks = {}, {}
  local tail = token .. pack('>I8', now) .. holder
  for n, id in ipairs(ids) do
    local old, record = olds[n], records[n]
    local flags, mark = byte(record, 18), nil
    local more = (limited and LIMITED or 0) + (flags >= LANE and HOLDS or 0)
    if old then
      local attempts, deaths, was = read('>I4I4B', old, 10)
      mark = pack('>I4I4B', attempts + 1, deaths, was - was % HISTORY + was % TTL + more) .. tail
    else
      mark = marks_of_new[flags + more * 256]
      if not mark then
        mark = pack('>I4I4B', 1, 0, flags % TTL + more) .. tail
        marks_of_new[flags + more * 256] = mark
      end
    end
    marks[2 * n - 1] = id
    marks[2 * n] = sub(members[n], 1, 9) .. mark
    leases[2 * n - 1] = ending
    leases[2 * n] = id
    out[#out + 1] = members[n]
    out[#out + 1] = record
    out[#out + 1] = old or ''
  end
  call('ZREM', KEYS[g + 4], unpack(members))
  call('ZADD', KEYS[g + 6], unpack(leases))
  call('HSET', KEYS[g + 5], unpack(marks))
end
