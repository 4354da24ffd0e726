-- Gives up the lease KEYS[1] if it is the token ARGV[1]'s.

local lease, token = KEYS[1], ARGV[1]

local kind = redis.call('TYPE', lease).ok
if kind ~= 'string' and kind ~= 'none' then return 'wrong type' end

local value = kind == 'string' and redis.call('GET', lease)
if value and (string.match(value, '^(.*) %d+$') or value) == token then redis.call('DEL', lease) end
return 'free'
