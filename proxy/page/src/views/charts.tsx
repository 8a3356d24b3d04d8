// uPlot in the page's colours.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

const dark = matchMedia('(prefers-color-scheme: dark)');

interface ChartProps {
  title: string;
  x: readonly number[];  ///< seconds
  y: readonly (number | null)[];
  kind: 'bars' | 'steps' | 'points';
  tone?: 'wait' | 'bad' | 'accent';
  unit?: string;
  /// Seconds; absent: as far as the values go.
  range?: readonly [number, number];
}

const pad = (n: number): string => String(n).padStart(2, '0');

/// 24 hours; the day at its beginning, and wherever the steps are days.
function times(_u: uPlot, splits: number[]): string[] {
  const days = splits.length > 1 && (splits[1] ?? 0) - (splits[0] ?? 0) >= 86_400;
  return splits.map((s) => {
    const d = new Date(s * 1000);
    if (days || (d.getHours() === 0 && d.getMinutes() === 0))
      return `${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
    return `${pad(d.getHours())}:${pad(d.getMinutes())}`;
  });
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function Chart({ title, x, y, kind, tone = 'accent', unit = '', range }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    let plot: uPlot | null = null;
    const draw = (): void => {
      plot?.destroy();
      const line = colour(`--${tone}`);
      const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 },
                     ticks: { show: false }, font: '11px system-ui' };
      const paths = kind === 'bars' ? uPlot.paths.bars?.({ size: [0.8, 24] })
        : kind === 'steps' ? uPlot.paths.stepped?.({ align: 1 }) : () => null;
      plot = new uPlot({
        width: element.clientWidth, height: 150, legend: { show: false }, padding: [8, 18, 0, 0],
        cursor: { y: false, drag: { x: false, y: false } },
        scales: { x: range ? { time: true, range: [range[0], range[1]] } : { time: true }, y: { range: (_u, _min, max) => [0, Math.max(1, max * 1.1)] } },
        axes: [{ ...axis, size: 26, values: times }, { ...axis, size: 44, values: (_u, all) => all.map((v) => `${v}${unit}`),
                       incrs: unit ? [1, 5, 10, 30, 60, 300, 600, 1800, 3600]
                                   : [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }],
        series: [{}, { stroke: line, fill: kind === 'points' ? '' : `${line}55`, width: 1.5,
                       ...(paths ? { paths } : {}),
                       points: { show: kind === 'points', size: 5, fill: line } }],
      }, [[...x], [...y]], element);
    };
    draw();
    const sizes = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth,
                                                           height: 150 }));
    sizes.observe(element);
    dark.addEventListener('change', draw);
    return () => {
      sizes.disconnect();
      dark.removeEventListener('change', draw);
      plot?.destroy();
    };
  }, [x, y, kind, tone, range]);
  const known = y.filter((v): v is number => v !== null);
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <div ref={box} role="img" aria-label={`${title}: ${known.length} values, highest ${
        Math.round(Math.max(0, ...known) * 10) / 10}${unit}`} />
    </figure>
  );
}

/// Names and numbers, the largest first; the bar is only for the eye.
export function Ranking({ title, of }: { title: string; of: readonly [string, number][] }) {
  const most = Math.max(1, ...of.map(([, n]) => n));
  return (
    <figure class="chart ranking">
      <figcaption>{title}</figcaption>
      {of.length === 0 ? <p class="quiet">nothing yet</p> : <ol>{of.map(([name, n]) => (
        <li key={name}><span class="name">{name}</span>
          <progress max={most} value={n} aria-hidden="true" /><span class="number">{n}</span></li>))}
      </ol>}
    </figure>
  );
}
