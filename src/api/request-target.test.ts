import { describe, expect, it } from 'vitest';
import { createTargetParser } from './request-target.ts';

describe('createTargetParser', () => {
  it('divides at the first question mark and leaves the path as it was sent', () => {
    const parse = createTargetParser();
    const { path, query } = parse('/secrets/A%2f?api-version=7.4&a=b?c&a=%26');
    expect(path).toBe('/secrets/A%2f');
    expect(query.get('api-version')).toBe('7.4');
    expect(query.getAll('a')).toEqual(['b?c', '&']);
  });

  it('takes a target without a query', () => {
    const { path, query } = createTargetParser()('/secrets');
    expect(path).toBe('/secrets');
    expect(query.has('api-version')).toBe(false);
  });

  it('answers the same for a target that comes again, and keeps different ones apart', () => {
    const parse = createTargetParser();
    for (const _ of [1, 2]) {
      for (const version of ['7.4', '7.5']) {
        for (const name of ['a', 'b']) {
          const { path, query } = parse(`/secrets/${name}?api-version=${version}`);
          expect([path, query.get('api-version')]).toEqual([`/secrets/${name}`, version]);
        }
      }
    }
  });

  it('parses targets that are too long to be remembered', () => {
    const long = 'x'.repeat(5000);
    const parse = createTargetParser();
    for (const _ of [1, 2]) {
      const { path, query } = parse(`/${long}?q=${long}`);
      expect([path, query.get('q')]).toEqual([`/${long}`, long]);
    }
  });
});
