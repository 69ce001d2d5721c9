// A chart of values over time (uPlot), in the theme's colours, as wide as there is room.
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useMode } from '../app/mode';
import { useT } from '../i18n';
import { time } from '../lib/format';
import { palette } from '../app/theme';

export type Line = { label: string; values: (number | null)[]; color?: 'line' | 'good' | 'warn' | 'bad' | 'busy' };
/** Times for short ranges, days for long ones. */
function clock(n: number, span: number): string {
  const d = new Date(n * 1000);
  const two = (v: number) => String(v).padStart(2, '0');
  return span > 2 * 86_400 ? `${two(d.getMonth() + 1)}-${two(d.getDate())}` : `${two(d.getHours())}:${two(d.getMinutes())}`;
}

type Props = { times: number[]; lines: Line[]; format: (n: number) => string; height?: number; from: number; to: number; label: string };

export function Chart({ times, lines, format, height = 170, from, to, label }: Props) {
  const t = useT();
  const { mode } = useMode();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  const shown = useRef({ format, from, to });
  shown.current = { format, from, to };
  const names = lines.map((l) => l.label).join('|');

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const colors = palette[mode];
    const axis = { stroke: colors.idle, grid: { stroke: mode === 'dark' ? '#27323a' : '#e6eaee', width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
    const chart = new uPlot(
      {
        width: element.clientWidth || 400,
        height,
        cursor: { sync: { key: 'task' }, y: false, points: { size: 6 } },
        legend: { live: true },
        scales: { x: { time: true, range: () => [shown.current.from, shown.current.to] }, y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.08 : 10] } },
        axes: [{ ...axis, space: 80, values: (_u, ticks) => ticks.map((n) => clock(n, shown.current.to - shown.current.from)) }, { ...axis, size: 68, values: (_u, ticks) => ticks.map((n) => shown.current.format(n)) }],
        series: [
          { label: t('settings.time'), value: (_u, n) => (n ? time(new Date(n * 1000).toISOString()) : '–') },
          ...lines.map((line) => ({
            label: line.label,
            stroke: colors[line.color ?? 'line'],
            width: 1.5,
            fill: lines.length === 1 ? `${colors[line.color ?? 'line']}22` : undefined,
            value: (_u: uPlot, n: number | null) => (n === null ? '–' : shown.current.format(n)),
            points: { show: false },
          })),
        ],
      },
      [times, ...lines.map((l) => l.values)] as uPlot.AlignedData,
      element,
    );
    plot.current = chart;
    const watch = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      chart.destroy();
    };
    // the data follow below; a new chart is made only for other lines or another theme
  }, [mode, names, height, t]); // eslint-disable-line

  useEffect(() => {
    plot.current?.setData([times, ...lines.map((l) => l.values)] as uPlot.AlignedData);
  }, [times, lines]);

  return <div ref={box} className="chart" role="img" aria-label={label} />;
}
