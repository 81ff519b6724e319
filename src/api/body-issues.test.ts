/** Proves that refusals of bodies say what is wanted, and never what was sent. */
import * as v from 'valibot';
import { expect, it } from 'vitest';
import { bodyChecks } from './body-issues.ts';

const schema = v.object({
  x5c: v.array(v.string()),
  attributes: v.optional(v.object({ enabled: v.optional(v.boolean()) })),
  count: v.optional(v.pipe(v.number(), v.integer(), v.minValue(3), v.maxValue(9))),
  kind: v.optional(v.picklist(['a', 'b'])),
  name: v.optional(v.pipe(v.string(), v.nonEmpty(), v.maxLength(8), v.regex(/^a/))),
  pair: v.optional(v.pipe(v.array(v.string()), v.length(2))),
  said: v.optional(v.pipe(v.string(), v.minLength(2, 'Too short, in words of its own.'))),
  either: v.optional(v.union([v.string(), v.number()])),
});

it.each([
  [{}, '"x5c" is required.'],
  [null, 'It has to be an object.'],
  [{ x5c: 'hunter2' }, 'It has to be an array.'],
  [{ x5c: [271828] }, 'It has to be a string.'],
  [{ x5c: [], attributes: { enabled: 'hunter2' } }, 'It has to be true or false.'],
  [{ x5c: [], count: 'hunter2' }, 'It has to be a number.'],
  [{ x5c: [], count: 271.828 }, 'It has to be an integer.'],
  [{ x5c: [], count: 2 }, 'It has to be at least 3.'],
  [{ x5c: [], count: 271828 }, 'It has to be at most 9.'],
  [{ x5c: [], kind: 'hunter2' }, 'It has to be "a" or "b".'],
  [{ x5c: [], name: '' }, 'It must not be empty.'],
  [{ x5c: [], name: 'hunter2hunter2' }, 'Its length has to be at most 8.'],
  [{ x5c: [], name: 'hunter2' }, 'It does not have the form that is wanted.'],
  [{ x5c: [], pair: ['hunter2'] }, 'Its length has to be 2.'],
  [{ x5c: [], said: 'h' }, 'Too short, in words of its own.'],
  [{ x5c: [], either: ['hunter2'] }, 'It has to be a string or a number.'],
])('%j: %s', (body, message) => {
  const { issues } = v.safeParse(schema, body, bodyChecks);
  expect(issues?.map((issue) => issue.message)).toEqual([message]);
  expect(message).not.toMatch(/hunter2|271/);
});
