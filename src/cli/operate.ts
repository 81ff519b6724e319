/** Runs one operator's operation, in the serving process if there is one, and prints its answer. */
import type { Command } from 'commander';
import type { Config } from '../config.ts';
import { servingControl } from '../service/serving-control.ts';
import type { Control } from '../service.ts';
import { printJson } from './output.ts';
import { configOf } from './settings.ts';

export interface Operation<T> {
  readonly name: string;
  readonly input: object;
  /** For people; with `--json` the answer itself is printed. */
  readonly print: (answer: T) => void;
}

export async function operate<T>(command: Command, operation: Operation<T>): Promise<T> {
  const { control, close } = await controlFor(configOf(command));
  try {
    const answer = (await control(operation.name, operation.input)) as T;
    if (command.optsWithGlobals().json === true) printJson(answer);
    else operation.print(answer);
    return answer;
  } finally {
    await close();
  }
}

/** Of the serving process, if there is one; only without it is the server itself loaded. */
async function controlFor(config: Config): Promise<{ control: Control; close(): Promise<void> }> {
  const control = await servingControl(config);
  if (control !== undefined) return { control, close: async () => undefined };
  const { openControl } = await import('../service.ts');
  return openControl(config);
}
