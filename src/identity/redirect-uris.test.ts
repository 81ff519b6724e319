import { describe, expect, it } from 'vitest';
import { isRegisteredRedirect, isUsableRedirect } from './redirect-uris.ts';

describe('redirect URIs', () => {
  it('compare to the letter', () => {
    const registered = ['https://app.example/signed-in', 'myapp://auth'];
    for (const uri of registered) expect(isRegisteredRedirect(uri, registered)).toBe(true);
    for (const uri of [
      'https://app.example/signed-in/',
      'https://app.example/signed-in?x=y',
      'https://app.example/signed-in#x',
      'https://app.example/signed-in/../evil',
      'https://APP.example/signed-in',
      'https://app.example:443/signed-in',
      'https://app.example:8443/signed-in',
      'https://app.example.evil.example/signed-in',
      'https://user@app.example/signed-in',
      'http://app.example/signed-in',
      'myapp://auth/other',
      'myapp:auth',
      '',
    ])
      expect(isRegisteredRedirect(uri, registered), uri).toBe(false);
    expect(isRegisteredRedirect('https://app.example/signed-in', [])).toBe(false);
  });

  it('have any port on loopback, and nothing else that differs', () => {
    const registered = ['http://localhost', 'http://127.0.0.1:5000/back?keep=1'];
    for (const uri of [
      'http://localhost',
      'http://localhost/',
      'http://localhost:1',
      'http://localhost:65535/',
      'http://127.0.0.1/back?keep=1',
      'http://127.0.0.1:9/back?keep=1',
    ])
      expect(isRegisteredRedirect(uri, registered), uri).toBe(true);
    for (const uri of [
      'https://localhost',
      'http://LOCALHOST',
      'http://localhost:1/x',
      'http://localhost:1?x',
      'http://localhost:99999',
      'http://localhost:x',
      'http://localhost.evil.example',
      'http://localhost:1@evil.example',
      'http://127.1',
      'http://2130706433',
      'http://127.0.0.1:9/back',
      'http://[::1]',
    ])
      expect(isRegisteredRedirect(uri, registered), uri).toBe(false);
  });

  it('run nothing in a browser and carry no credentials, even where they are registered', () => {
    for (const uri of [
      'javascript:alert(1)',
      'JaVaScRiPt:alert(1)',
      'data:text/html,x',
      'file:///etc/passwd',
      'blob:https://app.example/x',
      'http://app.example/x',
      'https://user:password@app.example/x',
      'https://app.example/\r\nSet-Cookie: x',
      'https://app.example/"x"',
      '/relative',
    ]) {
      expect(isUsableRedirect(uri), uri).toBe(false);
      expect(isRegisteredRedirect(uri, [uri])).toBe(false);
    }
  });
});
