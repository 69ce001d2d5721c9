// A line without axes: how it went, not how much.
export function Sparkline({ points, width = 56, height = 20, label }: { points: number[]; width?: number; height?: number; label: string }) {
  if (points.length < 2) return <svg width={width} height={height} aria-hidden="true" />;
  const top = Math.max(...points, 1);
  const step = width / (points.length - 1);
  const y = (value: number) => height - 2 - (value / top) * (height - 4);
  const line = points.map((value, i) => `${i === 0 ? 'M' : 'L'}${(i * step).toFixed(1)} ${y(value).toFixed(1)}`).join('');
  return (
    <svg width={width} height={height} role="img" aria-label={label} className="sparkline">
      <path d={`${line}L${width} ${height}L0 ${height}Z`} fill="currentColor" opacity={0.14} />
      <path d={line} fill="none" stroke="currentColor" strokeWidth={1.4} strokeLinejoin="round" />
    </svg>
  );
}
