import { Tooltip } from 'antd';
import { time, utc } from '../lib/format';

/** In the user's zone, UTC on hover. */
export function Time({ at }: { at: string | null | undefined }) {
  if (!at) return <span className="muted">–</span>;
  return (
    <Tooltip title={utc(at)}>
      <time dateTime={at} className="num">
        {time(at)}
      </time>
    </Tooltip>
  );
}
