import { Table, Tooltip, type TableColumnsType } from 'antd';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'react-router-dom';
import type { Task } from '../../api/client';
import { StageBar } from '../../components/StageBar';
import { StateTag } from '../../components/StateTag';
import { useT, type Translate } from '../../i18n';
import { bytes } from '../../lib/format';
import { severity } from '../../lib/tasks';
import { Lag, Rate, Route, Trouble } from './cells';

function columns(t: Translate): TableColumnsType<Task> {
  return [
    {
      title: t('home.name'),
      key: 'name',
      ellipsis: true,
      sorter: (a, b) => a.name.localeCompare(b.name),
      render: (_, task) => (
        <div style={{ minWidth: 0 }}>
          <Link to={`/tasks/${task.id}`} className="task-name ellipsis">
            {task.name}
          </Link>
          <Route task={task} />
          <Trouble task={task} />
        </div>
      ),
    },
    {
      title: t('home.state'),
      key: 'state',
      width: 140,
      sorter: (a, b) => severity.indexOf(a.state) - severity.indexOf(b.state),
      render: (_, task) => <StateTag state={task.state} reason={task.reason} />,
    },
    { title: t('home.progress'), key: 'progress', width: 206, render: (_, task) => <StageBar task={task} /> },
    {
      title: <Tooltip title={t('home.lagHelp')}>{t('home.lag')}</Tooltip>,
      key: 'lag',
      width: 116,
      sorter: (a, b) => (a.progress?.lag_seconds ?? -1) - (b.progress?.lag_seconds ?? -1),
      render: (_, task) => <Lag task={task} />,
    },
    {
      title: t('home.rate'),
      key: 'rate',
      width: 132,
      sorter: (a, b) => (a.progress?.rows_per_second ?? -1) - (b.progress?.rows_per_second ?? -1),
      render: (_, task) => <Rate task={task} />,
    },
    {
      title: <Tooltip title={t('home.walHelp')}>{t('home.wal')}</Tooltip>,
      key: 'wal',
      width: 112,
      align: 'right',
      sorter: (a, b) => (a.progress?.wal_held_bytes ?? -1) - (b.progress?.wal_held_bytes ?? -1),
      render: (_, task) => <span className="num">{bytes(task.progress?.wal_held_bytes)}</span>,
    },
  ];
}

/** What is left of the window below the element. */
function useRoom() {
  const ref = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(480);
  useEffect(() => {
    const measure = () => {
      const top = ref.current?.getBoundingClientRect().top ?? 200;
      setRoom(Math.max(260, window.innerHeight - top - 90));
    };
    measure();
    window.addEventListener('resize', measure);
    return () => window.removeEventListener('resize', measure);
  }, []);
  return { ref, room };
}

type Props = { tasks: Task[]; selected: string[]; onSelect?: (ids: string[]) => void };

export function TaskTable({ tasks, selected, onSelect }: Props) {
  const t = useT();
  const { ref, room } = useRoom();
  const all = useMemo(() => columns(t), [t]);
  const many = tasks.length > 40; // few rows look better, and read better, in a plain table
  return (
    <div ref={ref} className="panel home-table">
      <Table<Task>
        rowKey="id"
        size="middle"
        columns={all}
        dataSource={tasks}
        pagination={false}
        tableLayout="fixed"
        virtual={many}
        scroll={many ? { x: 1030, y: room } : { x: 1000 }}
        showSorterTooltip={false}
        rowSelection={
          onSelect && {
            selectedRowKeys: selected,
            onChange: (ids) => onSelect(ids as string[]),
            getCheckboxProps: (task) => ({ 'aria-label': task.name }) as object,
          }
        }
      />
    </div>
  );
}
