-- Where a job stands: its state, its record, its mark, its place (priority and due), its moment where it has ended or runs.
local function stand(g, id)
  local record = call('HGET', KEYS[g + 3], id)
  if not record then return nil end
  local mark = call('HGET', KEYS[g + 5], id)
  local place = mark and sub(mark, 1, 9) or sub(record, 17, 17) .. sub(record, 1, 8)
  if mark and #mark > 18 then return 'running', record, mark, place, call('ZSCORE', KEYS[g + 6], id) end
  if mark then
    local moment = call('ZSCORE', KEYS[g + 9], id)
    if moment then return 'dead', record, mark, place, moment end
    moment = call('ZSCORE', KEYS[g + 10], id)
    if moment then return tonumber(moment) > now and 'done' or nil, record, mark, place, moment end
  end
  return read('>I8', place, 2) <= now and 'ready' or 'delayed', record, mark, place, ''
end
-- Whether the key may be taken: a job that is done past its time or that waited past its ttl holds nothing, and goes.
local function available(g, key)
  local id = call('HGET', KEYS[g + 7], key)
  if not id then return true end
  local state, record, _, place = stand(g, id)
  if not record then return true end
  if not state then
    call('ZREM', KEYS[g + 10], id)
  elseif state == 'ready' or state == 'delayed' then
    local ends = expires(record)
    if not ends or ends > now then return false end
    leave(g, id, record, place)
  else
    return false
  end
  purge(g, id)
  return true
end
