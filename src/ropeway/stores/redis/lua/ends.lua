-- The bell of ends: all who wait for one in this queue are told, since only they know of which job.
local function over()
  local f = KEYS[#KEYS]
  if call('EXISTS', f) == 0 then return end
  for _, who in ipairs(call('ZRANGEBYSCORE', f, now, '+inf')) do
    redis.pcall('PUBLISH', channel .. sub(who, 1, 16), sub(who, 18) .. ' ' .. f)
  end
  call('DEL', f)
end
