// All texts. A key is area.name; a file per area.
import { common } from './common';
import { home } from './home';
import { task } from './task';

export const messages = { ...common, ...home, ...task };
export type MessageKey = keyof typeof messages;
