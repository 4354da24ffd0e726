-- One commit: output, env, progress and history, written together if the store's sequence is the expected one.
--
-- Redis doesn't undo what a script has written before an error, so whatever can fail comes before the first write
-- that shows:
--   1. the kind of each key and the sequence are asked for;
--   2. HSET and SET are run without effect (the same value again; only if a key exists that doesn't, or the
--      reverse). Memory limit, read-only replica, failing disk and missing rights of the user are told here: Redis
--      checks the first three at a script's first write only, and rights at each command;
--   3. XADD may still fail, by rights or by a stream whose last id is the greatest one; nothing has changed then;
--   4. HSET and SET, which have nothing left to fail by.
-- Sequences are compared as texts, since a number in Lua has 53 bits.

local output, env, history = KEYS[1], KEYS[2], KEYS[3]
local expected, following, result, length = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local keeps_history = length ~= '0'

local kinds = {}
local function is(key, kind)
  kinds[key] = redis.call('TYPE', key).ok
  return kinds[key] == kind or kinds[key] == 'none'
end

if not is(output, 'string') then return {'wrong type', output} end
if not is(env, 'hash') then return {'wrong type', env} end
if keeps_history and not is(history, 'stream') then return {'wrong type', history} end

local sequence = '0'
if kinds[env] == 'hash' then
  sequence = redis.call('HGET', env, 'sequence')
  if not sequence then return {'corrupt', "the env's hash has no field sequence"} end
end
if sequence ~= expected then return {'refused', sequence} end

-- An env of sequence 0 and nothing else is the same as none.
redis.call('HSET', env, 'sequence', sequence)
redis.call('SET', output, result, kinds[output] == 'none' and 'XX' or 'NX')

if keeps_history then redis.call('XADD', history, 'MAXLEN', length, '*', 'data', result) end
redis.call('HSET', env, 'sequence', following, unpack(ARGV, 5))
redis.call('SET', output, result)
return {'applied', following}
