-- What every script begins with: the map of keys, the time, and how a record and a mark are read.
--
-- The keys of a queue, all with its name as their hash tag, in this order (a script that is asked of many queues gets a group of twelve each):
--   1 s  hash    switches: p = why no job is taken in, c = why none is handed out; absent = open. l = the limits, "running lane"; absent =
--                none. x = dropped: whoever puts must name the queue again first. a = there are alarms
--   2 b  zset    who waits, by the moment at which it will look by itself
--   3 j  hash    id -> record: due created priority flags [extras] envelope, as it was put
--   4 w  zset    waiting, all scores 0: priority due id, so that the bytes are the order
--   5 m  hash    id -> mark, once it was claimed: priority due attempts deaths flags, and while it runs: token claimed holder
--   6 r  zset    running: id by the end of the lease
--   7 k  hash    unique key -> id
--   8 h  hash    id -> history; "r" id -> result
--   9 d  zset    dead: id by the moment of death
--  10 e  zset    done: id by the moment at which it is forgotten
--  11 l  zset    lanes, all scores 0: length lane, then "\0" id of one that has a place in it, or "\1" priority due id of one that is parked
--                (in front of all lanes: alarms, two zeros, moment, id)
--  12 p  zset    parked because its lane is full: as w
--  13 f  zset    who waits for ends, by the moment at which it stops waiting
-- Moments are whole microseconds; ids are 16 bytes, tokens 8. A script reads before it writes, so that a key of a wrong type fails it whole.
--
-- ARGV 1 now, 2 boot (both empty: the server's own time, else that of a test), 3 the beginning of the names of the bells' channels.
local now, boot, channel = ARGV[1], ARGV[2], ARGV[3]
if now == '' then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
  boot = now
else
  now, boot = tonumber(now), tonumber(boot)
end
