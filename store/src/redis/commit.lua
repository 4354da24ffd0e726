-- One commit: results, env, progress and acknowledgement, written together if the store's sequence is the expected one
-- and the stream's entries, if there are any, are still the consumer's, and the event that is replayed, if it is one, is
-- still there.
--
-- Redis doesn't undo what a script has written before an error, so whatever can fail comes before the first write
-- that shows:
--   1. the kind of each key, the sequence and whose the entries are is asked for;
--   2. each command is run without effect: the same value again, only if a key exists that doesn't, or the reverse, an
--      entry that there can't be. Memory limit, read-only replica, failing disk and missing rights of the user are told
--      here: Redis checks the first three at a script's first write only, and rights at each command and key;
--   3. XADD to the history may still fail, by rights or by a stream whose last id is the greatest one; nothing has
--      changed then;
--   4. the others, which have nothing left to fail by.
-- Sequences are compared as texts, since a number in Lua has 53 bits.
-- An error of redis.call has its line, by which script.rs names the command: so one command a line, and what failed by
-- redis.pcall is called once more.

local place = 0
local function take()
  place = place + 1
  return ARGV[place]
end
local function take_list(length)
  local list = {}
  for index = 1, length do list[index] = take() end
  return list
end

local output, env, history = KEYS[1], KEYS[2], KEYS[3]
local key = 3
local function take_key()
  key = key + 1
  return KEYS[key]
end

local expected, following, length = take(), take(), take()
local fields = take_list(tonumber(take()))
local results = take_list(tonumber(take()))
local appends = take() == '1' and take_key()
local most = take()
local dead = most ~= '' and {key = take_key(), fields = take_list(8)}
local group = take()
local stream, consumer, ids
if group ~= '' then
  stream, consumer = take_key(), take()
  ids = take_list(tonumber(take()))
end
local replayed = take()
local replay = replayed ~= '' and take_key()
local keeps_history = length ~= '0' and #results > 0

local function is(key, kind)
  local found = redis.call('TYPE', key).ok
  return found == kind or found == 'none', found == 'none'
end

local fits, is_new = is(output, 'string')
if not fits then return {'wrong type', output} end
if keeps_history and not is(history, 'stream') then return {'wrong type', history} end
if appends and not is(appends, 'stream') then return {'wrong type', appends} end
if dead and not is(dead.key, 'stream') then return {'wrong type', dead.key} end
if replay and not is(replay, 'stream') then return {'wrong type', replay} end

local sequence = redis.pcall('HGET', env, 'sequence')
if not sequence then
  if redis.call('TYPE', env).ok ~= 'none' then return {'corrupt', "the env's hash has no field sequence"} end
  sequence = '0'
elseif sequence.err then
  if string.sub(sequence.err, 1, 9) == 'WRONGTYPE' then return {'wrong type', env} end
  return redis.call('HGET', env, 'sequence')
end
if sequence ~= expected then return {'refused', sequence} end

if stream then
  local pending = redis.pcall('XPENDING', stream, group, ids[1], ids[#ids], #ids, consumer)
  if pending.err then
    -- A group that is gone has nothing left to acknowledge: its server has lost it.
    if string.sub(pending.err, 1, 7) ~= 'NOGROUP' then return redis.call('XPENDING', stream, group) end
    stream = nil
  else
    for index = 1, #ids do
      if not pending[index] or pending[index][1] ~= ids[index] then
        -- Others of its entries may lie between these.
        if #redis.call('XPENDING', stream, group, ids[index], ids[index], 1, consumer) == 0 then
          return {'claimed', ids[index]}
        end
      end
    end
  end
end

if replay and #redis.call('XRANGE', replay, replayed, replayed) == 0 then return {'claimed', replayed} end

-- An env of sequence 0 and nothing else is the same as none.
redis.call('HSET', env, 'sequence', sequence)
if #results > 0 then redis.call('SET', output, results[#results], is_new and 'XX' or 'NX') end
if appends then redis.call('XTRIM', appends, 'MAXLEN', '9223372036854775807') end
if dead then redis.call('XTRIM', dead.key, 'MAXLEN', '9223372036854775807') end
if stream then redis.call('XACK', stream, group, '0-0') end
if replay then redis.call('XDEL', replay, '0-0') end

if keeps_history then
  -- What is too much is trimmed once, with the last one.
  for index = math.max(1, #results - tonumber(length) + 1), #results - 1 do
    redis.call('XADD', history, '*', 'data', results[index])
  end
  redis.call('XADD', history, 'MAXLEN', length, '*', 'data', results[#results])
end
if appends then
  for index = 1, #results do redis.call('XADD', appends, '*', 'data', results[index]) end
end
if dead then redis.call('XADD', dead.key, 'MAXLEN', most, '*', unpack(dead.fields)) end
if stream then redis.call('XACK', stream, group, unpack(ids)) end
if replay then redis.call('XDEL', replay, replayed) end
redis.call('HSET', env, 'sequence', following, unpack(fields))
if #results > 0 then redis.call('SET', output, results[#results]) end
return {'applied', following}
