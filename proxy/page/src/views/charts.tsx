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
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function Chart({ title, x, y, kind, tone = 'accent', unit = '' }: ChartProps) {
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
        width: element.clientWidth, height: 150, legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: { y: { range: (_u, _min, max) => [0, Math.max(1, max * 1.1)] } },
        axes: [axis, { ...axis, size: 44, values: (_u, all) => all.map((v) => `${v}${unit}`),
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
  }, [x, y, kind, tone]);
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
