import { describe, expect, it } from 'vitest';
import { applicationAudience, resourceAsScope, userScopes } from './scopes.ts';

const form = (text: string) => new URLSearchParams(text);
const graph = 'https://graph.microsoft.com';

describe('what a user’s client asks for', () => {
  it.each([
    ['https://v//.default openid', 'https://v/', 'user_impersonation', true, false],
    ['https://v/user_impersonation offline_access', 'https://v', 'user_impersonation', false, true],
    ['https://v/one https://v/two', 'https://v', 'one two', false, false],
    ['https://v/one https://v/.default', 'https://v', 'one user_impersonation', false, false],
    ['User.Read openid', graph, 'User.Read', true, false],
    ['openid profile email offline_access', graph, 'user_impersonation', true, true],
    ['', graph, 'user_impersonation', false, false],
    [
      'api://11111111-1111-4111-8111-111111111111/.default',
      'api://11111111-1111-4111-8111-111111111111',
      'user_impersonation',
      false,
      false,
    ],
  ])('%j', (text, audience, scp, openId, offline) => {
    expect(userScopes(text, graph)).toMatchObject({ audience, scp, openId, offline });
  });

  it('is named in the reply as it was asked for', () => {
    expect(userScopes('https://v//.default', graph).granted).toEqual([
      'https://v//user_impersonation',
      'https://v//.default',
    ]);
    expect(userScopes('User.Read', graph).granted).toEqual(['User.Read']);
  });

  it.each([
    'https://a/.default https://b/.default',
    'https://a/.default User.Read',
    'https://a/.default https://a//.default',
    '/.default',
    'https://a/',
    'https://a/b"c',
    `https://a/${'x'.repeat(129)}`,
    Array.from({ length: 21 }, (_, index) => `https://a/s${index}`).join(' '),
  ])('is refused: %j', (text) => {
    expect(() => userScopes(text, graph)).toThrow(expect.objectContaining({ kind: 'invalidScope' }));
  });
});

describe('what an application asks for', () => {
  it('is a resource, or the one scope that is all of it', () => {
    expect(applicationAudience(form('resource=https://v/'))).toBe('https://v/');
    expect(applicationAudience(form('scope=openid https://v//.default'))).toBe('https://v/');
    for (const text of [
      'scope=https://v',
      'scope=/.default',
      'scope=openid',
      'scope=https://v/.default https://w/.default',
    ])
      expect(() => applicationAudience(form(text))).toThrow(
        expect.objectContaining({ kind: 'invalidScope' }),
      );
    expect(() => applicationAudience(form(''))).toThrow(expect.objectContaining({ kind: 'invalidRequest' }));
  });

  it('as a resource is the same as a scope', () => {
    expect(resourceAsScope(form(''))).toBeUndefined();
    expect(userScopes(resourceAsScope(form('resource=https://v/')) ?? '', graph).audience).toBe('https://v/');
    expect(() => resourceAsScope(form('resource=a b'))).toThrow();
  });
});
