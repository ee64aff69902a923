-- needs: words base has
-- The queue is there again: its name has just been noted.
if call('HDEL', KEYS[1], 'x') == 1 then call('PERSIST', KEYS[1]) end
return 1
