local function has(flags, flag) return flags % (2 * flag) >= flag end
