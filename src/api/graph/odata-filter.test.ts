/** Proves what filters mean, and that what is not understood is refused, however it is nested. */
import { describe, expect, it } from 'vitest';
import { equalities, holds, parseFilter } from './odata-filter.ts';

const filterable = {
  name: 'string',
  mail: 'string',
  enabled: 'boolean',
  tags: 'strings',
  constructor: 'string',
} as const;
const entity = { name: "O'Neil", mail: null, enabled: true, tags: ['Red', 'blue'] };
const guid = '00000000-0000-4000-8000-00000000000a';

describe('a filter', () => {
  it.each([
    ["name eq 'o''neil'", true],
    ["name ne 'o''neil'", false],
    ["name eq 'x' or enabled eq true", true],
    ["name eq 'x' or enabled eq true and mail ne null", false],
    ["(name eq 'x' or enabled eq true) and mail eq null", true],
    ["not (name eq 'x') and not enabled eq false", true],
    ["startswith(name,'O''N')", true],
    ["STARTSWITH(name, 'neil')", false],
    ["startswith(mail,'')", false],
    ["name in ('x', 'O''Neil')", true],
    ["name IN ('x')", false],
    ["tags/any(t:t eq 'RED')", true],
    ["tags/any(t:startswith(t,'bl') or t eq 'x')", true],
    ["tags/any(t:t eq 'red' and t eq 'blue')", false],
    ["tags/any(name:name eq 'blue') and startswith(name,'o')", true],
    ["constructor eq null and name ne 'function'", true],
    ["NAME eq 'o''neil' and Tags/any(t:t eq 'red')", true],
    ["tags/any(Name:startswith(Name,'bl')) and name ne 'blue'", true],
    [`name eq ${guid}`, false],
    [" name  eq\t'o''neil' ", true],
  ])('%j is %s', (text, expected) => {
    expect(holds(parseFilter(text, filterable), entity)).toBe(expected);
  });

  it.each([
    ['', 'badParameter'],
    ['name', 'badParameter'],
    ["name eq 'x", 'badParameter'],
    ["name eq 'x')", 'badParameter'],
    ["(name eq 'x'", 'badParameter'],
    ["name eq 'x' 'y'", 'badParameter'],
    ['name eq x', 'badParameter'],
    ['name eq true', 'badParameter'],
    ["enabled eq 'true'", 'badParameter'],
    ["'name' eq 'x'", 'badParameter'],
    ['startswith(name,null)', 'badParameter'],
    ["name eq 'x'; drop", 'badParameter'],
    ["substringof('x',name)", 'unsupportedQuery'],
    ["tags/any(t:T eq 'x')", 'unsupportedQuery'],
    ["toString eq 'x'", 'unsupportedQuery'],
    ["__proto__ eq 'x'", 'unsupportedQuery'],
    ["tags eq 'x'", 'unsupportedQuery'],
    ["name/any(t:t eq 'x')", 'unsupportedQuery'],
    ["tags/all(t:t eq 'x')", 'unsupportedQuery'],
    ["contains(name,'x')", 'unsupportedQuery'],
    ["name ge 'x'", 'unsupportedQuery'],
    ["t eq 'x' and tags/any(t:t eq 'x')", 'unsupportedQuery'],
    ["name/first eq 'x'", 'unsupportedQuery'],
    [`name eq '${'x'.repeat(5000)}'`, 'unsupportedQuery'],
    [`${'('.repeat(100)}enabled eq true${')'.repeat(100)}`, 'unsupportedQuery'],
    [`${'not '.repeat(100)}enabled eq true`, 'unsupportedQuery'],
  ])('%j is refused as %s', (text, kind) => {
    expect(() => parseFilter(text, filterable)).toThrow(expect.objectContaining({ kind }));
  });

  it.each([
    ["substringof('NEIL', Name)", true],
    ["substringof('',name)", true],
    ["not substringof('neal',name)", true],
    ["substringof('x',mail)", false],
    ["startswith(name,'neil')", false],
  ])('of the management plane, %j is %s', (text, expected) => {
    const filter = parseFilter(text, filterable, ['startswith', 'substringof']);
    expect(holds(filter, entity)).toBe(expected);
  });

  it.each(["substringof(name,'x')", 'substringof(null,name)', "substringof('x',tags)", "substringof('x')"])(
    '%j is refused there too',
    (text) => {
      expect(() => parseFilter(text, filterable, ['substringof'])).toThrow();
    },
  );

  it('is looked up by what must be equal, and by nothing that need not', () => {
    const named = (text: string) => equalities(parseFilter(text, filterable));
    expect(named("name eq 'a' and enabled eq true and tags/any(t:t eq 'b')")).toEqual([
      { path: 'name', value: 'a' },
      { path: 'tags', value: 'b' },
    ]);
    for (const text of [
      "name eq 'a' or name eq 'b'",
      "not (name eq 'a')",
      "name ne 'a'",
      "name in ('a')",
      "tags/any(t:t eq 'a' or t eq 'b')",
      'name eq null',
    ]) {
      expect([text, named(text)]).toEqual([text, []]);
    }
  });
});
