-- Short words for what everybody uses, and the flags. Those of a record: KEY KEEP TTL TIMED LANE; of a mark: KEY KEEP LIMITED (runs under a
-- limit, so its end makes room) HOLDS (a place in its lane) HISTORY RESULT. Here stands no function: to make one costs as much as a command.
local call = redis.call
local sub, byte, char = string.sub, string.byte, string.char
local pack, read = struct.pack, struct.unpack
local KEY, KEEP, TTL, TIMED, LIMITED, HOLDS, HISTORY, RESULT, LANE = 1, 2, 4, 8, 4, 8, 16, 32, 64
