import type { Command } from 'commander';
import { type Config, loadConfig } from '../config.ts';

/** The settings for a command: those of its flags named in `flags`, and what stands before every command. */
export function configOf(command: Command, flags: readonly string[] = []): Config {
  const given = command.optsWithGlobals() as Record<string, unknown>;
  const chosen = Object.fromEntries(['data', 'passphraseFile', ...flags].map((name) => [name, given[name]]));
  return loadConfig({
    flags: chosen,
    configFile: typeof given.config === 'string' ? given.config : undefined,
  });
}
