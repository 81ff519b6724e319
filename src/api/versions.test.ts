/** Proves which api-versions are served and in what order they stand. */
import { expect, it } from 'vitest';
import { has, parseApiVersion } from './versions.ts';

const inOrder = [
  '2016-10-01',
  '7.0',
  '7.1',
  '7.2',
  '7.3',
  '7.4',
  '7.5',
  '7.6',
  '2025-07-01',
  '2026-04-01',
] as const;

it('every stable version is served, each with what came before it and nothing that came after', () => {
  for (const [place, text] of inOrder.entries()) {
    const version = parseApiVersion(text);
    expect(version.text).toBe(text);
    expect(inOrder.map((since) => has(version, since))).toEqual(inOrder.map((_, since) => since <= place));
  }
});

it('a preview of a served version stands where that version stands', () => {
  for (const text of ['7.4-preview', '7.4-preview.1', '7.6-preview.2', '2025-07-01-preview']) {
    const version = parseApiVersion(text);
    expect(version.text).toBe(text);
    expect(has(version, '7.3')).toBe(true);
    expect(has(version, '2026-04-01')).toBe(false);
  }
});

it.each([
  ['2025-06-01-preview', '2025-07-01'],
  ['2026-01-01-preview', '2026-04-01'],
  ['2026-03-01-preview', '2026-04-01'],
])('%s, of another date than the version that it led to, stands where %s does', (text, led) => {
  expect(parseApiVersion(text)).toEqual({ ...parseApiVersion(led), text });
});

it.each([null, ''])('%j is refused as missing', (text) => {
  expect(() => parseApiVersion(text)).toThrow(/api-version query parameter is required/);
});

it.each([
  '7',
  '7.7',
  '7.40',
  ' 7.4',
  '7.4 ',
  '7.4-preview.',
  '7.4-preview.x',
  '7.4-preview.1-preview.1',
  '2026-01-01-preview-preview',
  '2026-05-01-preview.1',
  '2026-05-01-preview-preview',
  '-preview',
  '2015-06-01',
  '2099-01-01',
  '2099-01-01-preview',
  'constructor',
  '__proto__',
  '7.4,7.5',
])('%j is refused by name', (text) => {
  expect(() => parseApiVersion(text)).toThrow(
    `The specified version (${text}) is not recognized. Consider using the latest supported version (2026-04-01).`,
  );
});

it('a long version is not repeated whole', () => {
  const refusal = () => parseApiVersion('9'.repeat(10_000));
  expect(refusal).toThrow(/is not recognized/);
  expect(refusal).not.toThrow(/9{65}/);
});
