-- needs: words base has
-- notes: KEYS 1 the facts, 2 when each is over. ARGV 4 what: "n" a key, its value, its lifetime; "f" a key; "l" the beginning of keys.
for _, key in ipairs(call('ZRANGEBYSCORE', KEYS[2], '-inf', boot)) do
  call('ZREM', KEYS[2], key)
  call('HDEL', KEYS[1], key)
end
if ARGV[4] == 'n' then
  call('HSET', KEYS[1], ARGV[5], ARGV[6])
  call('ZADD', KEYS[2], boot + tonumber(ARGV[7]), ARGV[5])
  return 1
elseif ARGV[4] == 'f' then
  call('ZREM', KEYS[2], ARGV[5])
  return call('HDEL', KEYS[1], ARGV[5])
end
local out, size = {}, #ARGV[5]
for _, key in ipairs(call('HKEYS', KEYS[1])) do -- keys alone: there may be thousands of notes, and most are somebody else's
  if sub(key, 1, size) == ARGV[5] then
    out[#out + 1] = key
    out[#out + 1] = call('HGET', KEYS[1], key)
  end
end
return out
