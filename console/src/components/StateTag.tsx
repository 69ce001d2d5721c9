// A task's state: colour, symbol and word, so that none of them alone carries it.
import {
  CheckCircleFilled, ClockCircleOutlined, CloseCircleFilled, EditOutlined, ExclamationCircleFilled, MinusCircleOutlined,
  PauseCircleFilled, PlayCircleOutlined, SyncOutlined,
} from '@ant-design/icons';
import { Tag, Tooltip } from 'antd';
import type { ReactNode } from 'react';
import type { TaskState } from '../api/client';
import { useT } from '../i18n';

type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'idle';

export const looks: Record<TaskState, { tone: Tone; icon: ReactNode }> = {
  failed: { tone: 'bad', icon: <CloseCircleFilled /> },
  retrying: { tone: 'warn', icon: <SyncOutlined /> },
  check_failed: { tone: 'warn', icon: <ExclamationCircleFilled /> },
  pausing: { tone: 'warn', icon: <PauseCircleFilled /> },
  paused: { tone: 'warn', icon: <PauseCircleFilled /> },
  initializing: { tone: 'busy', icon: <SyncOutlined /> },
  checking: { tone: 'busy', icon: <SyncOutlined /> },
  releasing: { tone: 'busy', icon: <SyncOutlined /> },
  synchronizing: { tone: 'good', icon: <CheckCircleFilled /> },
  ready: { tone: 'busy', icon: <PlayCircleOutlined /> },
  draft: { tone: 'idle', icon: <EditOutlined /> },
  finished: { tone: 'good', icon: <CheckCircleFilled /> },
  stopped: { tone: 'idle', icon: <MinusCircleOutlined /> },
  released: { tone: 'idle', icon: <ClockCircleOutlined /> },
};

const colors: Record<Tone, string> = { good: 'success', busy: 'processing', warn: 'warning', bad: 'error', idle: 'default' };

export function StateTag({ state, reason }: { state: TaskState; reason?: string | null }) {
  const t = useT();
  const { tone, icon } = looks[state];
  const help = reason ? `${t(`stateHelp.${state}`)} ${reason}` : t(`stateHelp.${state}`);
  return (
    <Tooltip title={help}>
      <Tag className={`state-tag tone-${tone}`} color={colors[tone]} icon={icon} style={{ marginInlineEnd: 0 }} data-state={state}>
        {t(`state.${state}`)}
      </Tag>
    </Tooltip>
  );
}
