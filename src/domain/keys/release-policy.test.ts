/** The policy grammar as tables: what parses, what is refused, and what each operator makes of each kind of claim. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isFailure } from '../../core/errors.ts';
import {
  assertReleasePolicyRules,
  authoritiesOf,
  parseReleasePolicy,
  type ReleasePolicy,
  readReleaseRules,
  satisfiedAuthority,
} from './release-policy.ts';

const authority = 'https://attest.example.com';
const encode = (document: unknown) => Buffer.from(JSON.stringify(document)).toString('base64url');
const decode = (data: string): unknown => JSON.parse(Buffer.from(data, 'base64url').toString());
const policyOf = (condition: object) => ({ version: '1.0.0', anyOf: [{ authority, ...condition }] });
const rulesOf = (condition: object) => readReleaseRules(encode(policyOf(condition)));
const isSatisfied = (condition: object, claims: Record<string, unknown>, by = authority) =>
  satisfiedAuthority(rulesOf(condition), { authority: by, claims }) !== undefined;
const one = (condition: object) => ({ allOf: [condition] });

/** The confidential virtual machine policy of Azure's documents. */
const machinePolicy = {
  version: '1.0.0',
  anyOf: [
    {
      authority: 'https://sharedeus.eus.attest.azure.net/',
      allOf: [
        { claim: 'x-ms-attestation-type', equals: 'sevsnpvm' },
        { claim: 'x-ms-compliance-status', equals: 'azure-compliant-cvm' },
      ],
    },
    {
      authority: 'https://sharedweu.weu.attest.azure.net/',
      allOf: [{ claim: 'x-ms-isolation-tee.x-ms-attestation-type', equals: 'sevsnpvm' }],
    },
  ],
};

describe('a document', () => {
  test('comes back in the order that Azure writes, whatever the order it came in', () => {
    // As recorded: the Go client's maps are in alphabetical order, the service's answer is not.
    const sent =
      'eyJhbnlPZiI6W3siYW55T2YiOlt7ImNsYWltIjoic2RrLXRlc3QiLCJlcXVhbHMiOiJ0cnVlIn1dLCJhdXRob3JpdHkiOiJodHRwczovL2Zha2VhdHRlc3RhdGlvbiJ9XSwidmVyc2lvbiI6IjEuMC4wIn0';
    const { data, ...rest } = parseReleasePolicy({ data: sent, immutable: true });
    expect(rest).toEqual({ contentType: 'application/json; charset=utf-8', immutable: true });
    expect(Buffer.from(data, 'base64url').toString()).toBe(
      '{"version":"1.0.0","anyOf":[{"authority":"https://fakeattestation","anyOf":[{"claim":"sdk-test","equals":"true"}]}]}',
    );
    expect(parseReleasePolicy({ data }).data).toBe(data);
  });

  test('keeps what it says: nesting, every operator, every kind of value', () => {
    const document = policyOf({
      allOf: [
        { claim: 'a', equals: 'x' },
        { anyOf: [{ claim: 'b', notEquals: 1 }, { allOf: [{ claim: 'c', exists: true }] }] },
        { claim: 'd', less: 1.5 },
        { claim: 'd', lessOrEquals: '7' },
        { claim: 'd', greater: -3 },
        { claim: 'd', greaterOrEquals: 0 },
        { claim: 'e', exists: 'false' },
      ],
    });
    expect(decode(parseReleasePolicy({ data: encode(document) }).data)).toEqual(document);
    expect(decode(parseReleasePolicy({ data: encode(machinePolicy) }).data)).toEqual(machinePolicy);
  });

  test('shows of two members of one name the one that is enforced', () => {
    const text = `{"version":"1.0.0","anyOf":[{"authority":"${authority}","allOf":[{"claim":"a","equals":"shown","equals":"enforced"}]}]}`;
    const { data } = parseReleasePolicy({ data: Buffer.from(text).toString('base64url') });
    expect(decode(data)).toEqual(policyOf(one({ claim: 'a', equals: 'enforced' })));
  });

  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'application/json; charset=utf-8; version=1.0',
    'application/json; version=1.0',
    'Application/JSON;charset="UTF-8"',
  ])('may be of the type %s', (contentType) => {
    const data = encode(policyOf(one({ claim: 'a', equals: 1 })));
    expect(parseReleasePolicy({ contentType, data }).contentType).toBe(contentType);
  });

  test.each([
    '',
    'text/plain',
    'application/json; charset=utf-16',
    'application/json\r\nx: y',
    'application/jsonx',
  ])('may not be of the type %j', (contentType) => {
    const data = encode(policyOf(one({ claim: 'a', equals: 1 })));
    expect(() => parseReleasePolicy({ contentType, data })).toThrow('unsupported contentType');
  });

  test('may be made immutable without being sent again', () => {
    const previous = parseReleasePolicy({ data: encode(machinePolicy), contentType: 'application/json' });
    expect(parseReleasePolicy({ immutable: true }, previous)).toEqual({ ...previous, immutable: true });
    expect(() => parseReleasePolicy({ immutable: true })).toThrow('missing data');
  });

  test('names its authorities, each once', () => {
    const rows = ['https://A.example.com/', 'https://a.example.com:443', 'https://b.example.com/tenant'];
    const anyOf = rows.map((text) => ({ authority: text, ...one({ claim: 'a', equals: 1 }) }));
    expect(authoritiesOf(readReleaseRules(encode({ version: '1.0.0', anyOf })))).toEqual([
      'https://a.example.com',
      'https://b.example.com/tenant',
    ]);
  });
});

describe('a document that is refused', () => {
  const condition = { claim: 'a', equals: 1 };
  const nested = (depth: number): object => (depth === 0 ? condition : { allOf: [nested(depth - 1)] });
  const of = (row: object) => encode({ version: '1.0.0', anyOf: [row] });
  const cases: Readonly<Record<string, string>> = {
    'is no base64url': '{"version":"1.0.0"}',
    'is base64url with padding': `${encode(policyOf(one({ claim: 'a', equals: '???' })))}=`,
    'is base64 with too much padding': `${encode(machinePolicy)}====`,
    'has bits to spare in its base64url': 'e31',
    'is no JSON': Buffer.from('{').toString('base64url'),
    'is no UTF-8': Buffer.from([0x22, 0xff, 0x22]).toString('base64url'),
    'begins with a byte order mark': Buffer.from(`\ufeff${JSON.stringify(machinePolicy)}`).toString(
      'base64url',
    ),
    'is empty': '',
    'is a list': encode([]),
    'is null': encode(null),
    'has no version': encode({ anyOf: machinePolicy.anyOf }),
    'has another version': encode({ ...machinePolicy, version: '1.0' }),
    'has a number for its version': encode({ ...machinePolicy, version: 1 }),
    'has an unknown member': encode({ ...machinePolicy, allOf: [] }),
    'has a member __proto__': Buffer.from(
      JSON.stringify(machinePolicy).replace('{', '{"__proto__":{},'),
    ).toString('base64url'),
    'has no authorities': encode({ version: '1.0.0' }),
    'has an empty list of authorities': encode({ version: '1.0.0', anyOf: [] }),
    'has an object for its authorities': encode({ version: '1.0.0', anyOf: { 0: machinePolicy.anyOf[0] } }),
    'has too many authorities': encode({ version: '1.0.0', anyOf: Array(17).fill(machinePolicy.anyOf[0]) }),
    'has an authority that is null': encode({ version: '1.0.0', anyOf: [null] }),
    'has an authority without a name': of(one(condition)),
    'has an authority over HTTP': of({ authority: 'http://attest.example.com', ...one(condition) }),
    'has an authority that is a host': of({ authority: 'attest.example.com', ...one(condition) }),
    'has an authority with credentials': of({ authority: 'https://a@b', ...one(condition) }),
    'has an authority without conditions': of({ authority }),
    'has an authority with both lists': of({ authority, anyOf: [condition], allOf: [condition] }),
    'has an authority with a condition of its own': of({ authority, ...condition }),
    'has an authority with an unknown member': of({ authority, allOf: [condition], not: [] }),
    'has an empty list of conditions': of({ authority, allOf: [] }),
    'has a condition that is a text': of({ authority, allOf: ['a'] }),
    'has a condition with an authority': of({ authority, allOf: [{ authority, anyOf: [condition] }] }),
    'has an empty condition': of({ authority, allOf: [{}] }),
    'has a nested empty list': of({ authority, allOf: [{ anyOf: [] }] }),
    'has a condition without an operator': of({ authority, allOf: [{ claim: 'a' }] }),
    'has a condition of two operators': of({ authority, allOf: [{ claim: 'a', equals: 1, less: 2 }] }),
    'has a condition of an unknown operator': of({ authority, allOf: [{ claim: 'a', like: 'x' }] }),
    'has an operator of another case': of({ authority, allOf: [{ claim: 'a', Equals: 1 }] }),
    'has a condition in the preview form': of({
      authority,
      allOf: [{ claim: 'a', condition: 'equals', value: 'x' }],
    }),
    'has a condition with an unknown member': of({ authority, allOf: [{ ...condition, comment: '' }] }),
    'has a condition that is also a list': of({ authority, allOf: [{ ...condition, anyOf: [condition] }] }),
    'has an empty claim': of({ authority, allOf: [{ claim: '', equals: 1 }] }),
    'has a claim that is no text': of({ authority, allOf: [{ claim: 1, equals: 1 }] }),
    'has a claim of a long name': of({ authority, allOf: [{ claim: 'a'.repeat(513), equals: 1 }] }),
    'compares with null': of({ authority, allOf: [{ claim: 'a', equals: null }] }),
    'compares with an object': of({ authority, allOf: [{ claim: 'a', equals: {} }] }),
    'compares with a list': of({ authority, allOf: [{ claim: 'a', equals: ['x'] }] }),
    'compares with a number that is not exact': Buffer.from(
      JSON.stringify(policyOf(one(condition))).replace('"equals":1', '"equals":9007199254740993'),
    ).toString('base64url'),
    'compares with a number that is too large': Buffer.from(
      JSON.stringify(policyOf(one(condition))).replace('"equals":1', '"equals":1e999'),
    ).toString('base64url'),
    'orders by a text': of({ authority, allOf: [{ claim: 'a', less: '1.10' }] }),
    'orders by a boolean': of({ authority, allOf: [{ claim: 'a', greater: true }] }),
    'asks whether a claim exists with a text': of({ authority, allOf: [{ claim: 'a', exists: 'yes' }] }),
    'is nested too deep': of({ authority, ...nested(8) }),
    'is nested absurdly deep': Buffer.from(`{"version":"1.0.0","anyOf":${'['.repeat(12_000)}`).toString(
      'base64url',
    ),
    'has too many conditions': of({ authority, allOf: Array(500).fill({ claim: 'a', exists: true }) }),
    'is larger than 16 KiB': of({ authority, allOf: [{ claim: 'a', equals: 'x'.repeat(16 * 1024) }] }),
  };
  test.each(Object.entries(cases))('%s', (_, data) => {
    let error: unknown;
    try {
      parseReleasePolicy({ data });
    } catch (thrown) {
      error = thrown;
    }
    expect(isFailure(error, 'badParameter')).toBe(true);
    expect(String(error)).toMatch(/Key Release Policy: \S/);
  });

  test('says what Azure says of a missing version', () => {
    expect(() => readReleaseRules(encode({}))).toThrow("Key Release Policy: missing 'version' property");
  });

  test('at its limits it is not', () => {
    expect(rulesOf(nested(7))).toHaveLength(1);
    const anyOf = Array(16).fill({ authority, ...one(condition) });
    expect(readReleaseRules(encode({ version: '1.0.0', anyOf }))).toHaveLength(16);
    expect(rulesOf({ allOf: Array(499).fill({ claim: 'a', less: 1 }) })).toHaveLength(1);
  });
});

describe('operators', () => {
  const values: Readonly<Record<string, unknown>> = {
    text: 'x',
    'other text': 'X',
    'empty text': '',
    'text 7': '7',
    'text 07': '07',
    'text 7.0': '7.0',
    'number 7': 7,
    'number 8': 8,
    'number 7.5': 7.5,
    'number 2^53': 2 ** 53,
    true: true,
    'text true': 'true',
    'text True': 'True',
    false: false,
    'text false': 'false',
    null: null,
    object: { a: 1 },
    array: ['x', 7, true],
  };
  /** Condition → which of the values above satisfy it. */
  const table: readonly (readonly [object, readonly string[]])[] = [
    [{ equals: 'x' }, ['text']],
    [{ equals: '' }, ['empty text']],
    [{ equals: 7 }, ['text 7', 'number 7']],
    [{ equals: '7' }, ['text 7', 'number 7']],
    [{ equals: '7.0' }, ['text 7.0']],
    [{ equals: 7.5 }, ['number 7.5']],
    [{ equals: true }, ['true', 'text true']],
    [{ equals: 'true' }, ['true', 'text true']],
    [{ equals: false }, ['false', 'text false']],
    [{ equals: 'false' }, ['false', 'text false']],
    [
      { notEquals: 'x' },
      [
        ...['other text', 'empty text', 'text 7', 'text 07', 'text 7.0'],
        ...['text true', 'text True', 'text false'],
      ],
    ],
    [{ notEquals: 7 }, ['number 8', 'number 7.5']],
    [
      { notEquals: '7' },
      [
        ...['text', 'other text', 'empty text', 'text 07', 'text 7.0', 'number 8', 'number 7.5'],
        ...['text true', 'text True', 'text false'],
      ],
    ],
    [{ notEquals: true }, ['false', 'text false']],
    [
      { notEquals: 'false' },
      [
        ...['text', 'other text', 'empty text', 'text 7', 'text 07', 'text 7.0'],
        ...['true', 'text true', 'text True'],
      ],
    ],
    [{ less: 7.5 }, ['text 7', 'number 7']],
    [{ less: 7 }, []],
    [{ lessOrEquals: '7' }, ['text 7', 'number 7']],
    [{ greater: 7 }, ['number 8', 'number 7.5']],
    [{ greater: '7' }, ['number 8', 'number 7.5']],
    [{ greaterOrEquals: 7.5 }, ['number 8', 'number 7.5']],
    [{ greaterOrEquals: -1 }, ['text 7', 'number 7', 'number 8', 'number 7.5']],
    [{ exists: true }, Object.keys(values).filter((name) => name !== 'null')],
    [{ exists: 'true' }, Object.keys(values).filter((name) => name !== 'null')],
    [{ exists: false }, []],
    [{ exists: 'false' }, []],
  ];
  test.each(table)('%j', (operator, expected) => {
    const condition = one({ claim: 'a', ...operator });
    const found = Object.keys(values).filter((name) => isSatisfied(condition, { a: values[name] }));
    expect(found).toEqual(expected);
  });

  test.each(table.map(([operator]) => operator))('%j of a claim that is not there', (operator) => {
    const asksForAbsence = Object.hasOwn(operator, 'exists') && /false/.test(JSON.stringify(operator));
    expect(isSatisfied(one({ claim: 'a', ...operator }), { b: 'x' })).toBe(asksForAbsence);
    expect(isSatisfied(one({ claim: 'a.b', ...operator }), { a: 'x' })).toBe(asksForAbsence);
  });
});

describe('a claim', () => {
  const isX = (claim: string) => one({ claim, equals: 'x' });
  test('is found by its path, and by a name that has the dots in it', () => {
    expect(isSatisfied(isX('a.b.c'), { a: { b: { c: 'x' } } })).toBe(true);
    expect(isSatisfied(isX('a.b.c'), { 'a.b.c': 'x' })).toBe(true);
    expect(isSatisfied(isX('a.b.c'), { a: { 'b.c': 'x' } })).toBe(false);
    expect(isSatisfied(isX('.'), { '': { '': 'x' } })).toBe(true);
  });

  test('that two answer to satisfies nothing', () => {
    const claims = { 'a.b': 'x', a: { b: 'x' } };
    for (const operator of [{ equals: 'x' }, { notEquals: 'y' }, { exists: true }, { exists: false }]) {
      expect(isSatisfied(one({ claim: 'a.b', ...operator }), claims)).toBe(false);
    }
  });

  test('in an array is not found, and is not absent', () => {
    for (const claim of ['a.0', 'a.length', 'a.0.b']) {
      for (const operator of [{ equals: 'x' }, { notEquals: 'y' }, { exists: true }, { exists: false }]) {
        expect(isSatisfied(one({ claim, ...operator }), { a: ['x', { b: 'x' }] })).toBe(false);
      }
    }
  });

  test('is not one that all objects have', () => {
    for (const claim of [
      'constructor',
      '__proto__',
      'toString',
      'constructor.name',
      '__proto__.constructor',
    ]) {
      expect(isSatisfied(one({ claim, exists: true }), {})).toBe(false);
      expect(isSatisfied(one({ claim, notEquals: 'x' }), {})).toBe(false);
    }
    expect(isSatisfied(isX('__proto__'), JSON.parse('{"__proto__":"x"}'))).toBe(true);
  });
});

describe('conditions', () => {
  const [yes, no] = [
    { claim: 'a', equals: 'x' },
    { claim: 'a', equals: 'y' },
  ];
  test.each([
    [{ allOf: [yes, yes] }, true],
    [{ allOf: [yes, no] }, false],
    [{ anyOf: [no, yes] }, true],
    [{ anyOf: [no, no] }, false],
    [{ allOf: [yes, { anyOf: [no, { allOf: [yes, yes] }] }] }, true],
    [{ allOf: [yes, { anyOf: [no, { allOf: [yes, no] }] }] }, false],
    [{ anyOf: [{ allOf: [yes, no] }, { anyOf: [no] }] }, false],
  ])('%j: %j', (condition, expected) => {
    expect(isSatisfied(condition, { a: 'x' })).toBe(expected);
  });

  test('of one authority are not satisfied by the word of another', () => {
    const rules = readReleaseRules(encode(machinePolicy));
    const claims = { 'x-ms-attestation-type': 'sevsnpvm', 'x-ms-compliance-status': 'azure-compliant-cvm' };
    const by = (text: string) => satisfiedAuthority(rules, { authority: text, claims });
    expect(by('https://SHAREDEUS.eus.attest.azure.net')).toBe('https://sharedeus.eus.attest.azure.net/');
    expect(by('https://sharedweu.weu.attest.azure.net')).toBeUndefined();
    expect(by('https://sharedeus.eus.attest.azure.net/tenant')).toBeUndefined();
    expect(by('sharedeus.eus.attest.azure.net')).toBeUndefined();
    expect(by('')).toBeUndefined();
  });

  test('of an authority that is named twice: either will do', () => {
    const anyOf = [no, yes].map((condition) => ({ authority, allOf: [condition] }));
    const rules = readReleaseRules(encode({ version: '1.0.0', anyOf }));
    expect(satisfiedAuthority(rules, { authority, claims: { a: 'x' } })).toBe(authority);
  });
});

describe('whatever the policy and the claims', () => {
  const names = fc.constantFrom('a', 'b', 'a.b', '__proto__', 'constructor', 'b.0', '');
  const scalar = fc.oneof(
    fc.constantFrom<unknown>('x', 'true', 'false', '7', 7, 1e300, true, false, null),
    fc.jsonValue(),
  );
  const operator = fc.constantFrom(
    ...['equals', 'notEquals', 'less', 'lessOrEquals', 'greater', 'greaterOrEquals', 'exists', 'like'],
  );
  const { condition } = fc.letrec<{ condition: object }>((tie) => ({
    condition: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.tuple(names, operator, scalar).map(([claim, name, value]) => ({ claim, [name]: value })),
      fc.array(tie('condition'), { maxLength: 3 }).map((anyOf) => ({ anyOf })),
      fc.array(tie('condition'), { maxLength: 3 }).map((allOf) => ({ allOf })),
    ),
  }));
  const claims = fc.dictionary(names, fc.oneof(scalar, fc.dictionary(names, scalar), fc.array(scalar)));

  test('evaluation never throws, and no other authority is ever enough', () => {
    fc.assert(
      fc.property(fc.array(condition, { minLength: 1, maxLength: 3 }), claims, (conditions, given) => {
        const document = {
          version: '1.0.0',
          anyOf: conditions.map((allOf) => ({ authority, allOf: [allOf] })),
        };
        let rules: ReturnType<typeof readReleaseRules>;
        try {
          rules = readReleaseRules(encode(document));
        } catch (error) {
          return isFailure(error, 'badParameter');
        }
        const by = (text: string) => satisfiedAuthority(rules, { authority: text, claims: given });
        const own = by(authority);
        return (
          (own === undefined || own === authority) &&
          by('https://other.example.com') === undefined &&
          by('') === undefined
        );
      }),
      { numRuns: 500 },
    );
  });

  test('what a policy is written as means the same', () => {
    fc.assert(
      fc.property(condition, claims, (allOf, given) => {
        const data = encode(policyOf({ allOf: [allOf] }));
        let policy: ReleasePolicy;
        try {
          policy = parseReleasePolicy({ data });
        } catch {
          return true;
        }
        const says = (text: string) =>
          satisfiedAuthority(readReleaseRules(text), { authority, claims: given });
        return says(policy.data) === says(data);
      }),
      { numRuns: 500 },
    );
  });

  test('no bytes make the parser throw anything but a refusal', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json().map((text) => Buffer.from(text).toString('base64url')),
        ),
        (data) => {
          try {
            parseReleasePolicy({ data });
            return false;
          } catch (error) {
            return isFailure(error, 'badParameter');
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('the rules between a policy and its key', () => {
  const data = encode(machinePolicy);
  const policy = { data };
  const previous = parseReleasePolicy({ data });
  const immutable = { ...previous, immutable: true };
  const other = { data: encode(policyOf(one({ claim: 'a', equals: 1 }))) };
  const exportable = true;

  test.each([
    ['exportable with a policy', { exportable, policy }],
    ['exportable with the policy that it has', { exportable, policy: undefined, previous }],
    ['neither', { exportable: false, policy: undefined }],
    ['a policy that is changed', { exportable, policy: other, previous }],
    ['a policy that is made immutable', { exportable, policy: { immutable: true }, previous }],
    ['an immutable policy that is not mentioned', { exportable, policy: undefined, previous: immutable }],
    ['an immutable policy that is sent back', { exportable, policy: immutable, previous: immutable }],
    ['an immutable policy in other words', { exportable, policy: { data }, previous: immutable }],
    ['a key for secure wrap', { exportable: false, wrapsSecurely: true, policy }],
  ])('allow %s', (_, change) => {
    expect(() => assertReleasePolicyRules(change)).not.toThrow();
  });

  const exportableNeeds = 'AKV.SKR.1004: Exportable keys must have release policy.';
  const othersMayNot = 'AKV.SKR.1005: Non-exportable keys must not have release policy.';
  const stays = 'AKV.SKR.1020: Immutable Key Release Policy cannot be modified.';
  test.each([
    ['exportable without a policy', exportableNeeds, { exportable, policy: undefined }],
    ['a policy on another key', othersMayNot, { exportable: false, policy }],
    ['a policy left on another key', othersMayNot, { exportable: false, policy: undefined, previous }],
    ['an immutable policy changed', stays, { exportable, policy: other, previous: immutable }],
    ['its flag reset', stays, { exportable, policy: { immutable: false }, previous: immutable }],
    [
      'its type changed',
      stays,
      { exportable, policy: { data, contentType: 'application/json' }, previous: immutable },
    ],
    [
      'an immutable policy changed to a malformed one',
      stays,
      { exportable, policy: { data: encode({ ...machinePolicy, version: '1.0' }) }, previous: immutable },
    ],
    [
      'an exportable key for secure wrap',
      'must not be exportable',
      { exportable, wrapsSecurely: true, policy },
    ],
    [
      'a key for secure wrap without a policy',
      'must have release policy',
      { exportable: false, wrapsSecurely: true, policy: undefined },
    ],
  ])('refuse %s', (_, message, change) => {
    expect(() => assertReleasePolicyRules(change)).toThrow(message);
  });
});
