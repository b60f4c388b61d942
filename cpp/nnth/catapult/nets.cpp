#include "nnth/catapult/nets.hpp"

#include <algorithm>
#include <cmath>

#include "nnth/numerics/array_size.hpp"
#include "nnth/numerics/double_double.hpp"
#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/random.hpp"

namespace nnth::catapult {

namespace {

constexpr std::size_t kStride = 2 * lanes;  // neurons in one pass of a loop
constexpr std::size_t kRatesAtOnce = 8;     // rates in an item of work, which share the draws

typedef std::int64_t Mask __attribute__((vector_size(lanes * sizeof(std::int64_t))));

// Returns 1/sqrt(n) to 106 bits, by a Newton step from its double.
DoubleDouble inverse_root(double n) {
    const DoubleDouble root = 1.0 / std::sqrt(n);
    return root + root * (DoubleDouble(1.0) - DoubleDouble(n) * root * root) * DoubleDouble(0.5);
}

// Neurons with open gates, a_i = u_i.x / sqrt(n0), padded with zeros, which stay 0.
struct Neurons {
    std::vector<double> a, v;
};

// Sums over the open gates.
struct Sums {
    double va = 0.0, vv = 0.0, aa = 0.0;
    std::int64_t open = 0;
};

// One step with all gates open: a' = a - to_a v, v' = v - to_v a.
NNTH_MULTIVERSION void advance_frozen(double* a, double* v, std::size_t count, double to_a,
                                      double to_v, Sums* out) {
    Lanes va[2] = {}, vv[2] = {}, aa[2] = {};
    for (std::size_t i = 0; i < count; i += kStride) {
        for (std::size_t k = 0; k < 2; ++k) {
            Lanes old_a, old_v;
            load(old_a, a + i + k * lanes);
            load(old_v, v + i + k * lanes);
            const Lanes new_a = old_a - to_a * old_v, new_v = old_v - to_v * old_a;
            va[k] += new_v * new_a;
            vv[k] += new_v * new_v;
            aa[k] += new_a * new_a;
            store(a + i + k * lanes, new_a);
            store(v + i + k * lanes, new_v);
        }
    }
    out->va = total_in_order(va[0] + va[1]);
    out->vv = total_in_order(vv[0] + vv[1]);
    out->aa = total_in_order(aa[0] + aa[1]);
}

// One step of the neurons with a > 0; the sums are over the neurons with a' > 0.
NNTH_MULTIVERSION void advance_relu(double* a, double* v, std::size_t count, double to_a,
                                    double to_v, Sums* out) {
    Lanes va[2] = {}, vv[2] = {}, aa[2] = {};
    Mask open[2] = {};
    const Lanes zero = {};
    for (std::size_t i = 0; i < count; i += kStride) {
        for (std::size_t k = 0; k < 2; ++k) {
            Lanes old_a, old_v;
            load(old_a, a + i + k * lanes);
            load(old_v, v + i + k * lanes);
            const Mask gate = old_a > zero;
            const Lanes new_a = old_a - (gate ? to_a * old_v : zero);
            const Lanes new_v = old_v - (gate ? to_v * old_a : zero);
            const Mask now = new_a > zero;
            const Lanes on_a = now ? new_a : zero, on_v = now ? new_v : zero;
            va[k] += on_v * on_a;
            vv[k] += on_v * on_v;
            aa[k] += on_a * on_a;
            open[k] -= now;
            store(a + i + k * lanes, new_a);
            store(v + i + k * lanes, new_v);
        }
    }
    out->va = total_in_order(va[0] + va[1]);
    out->vv = total_in_order(vv[0] + vv[1]);
    out->aa = total_in_order(aa[0] + aa[1]);
    for (std::size_t j = 0; j < lanes; ++j) out->open += open[0][j] + open[1][j];
}

// A network with frozen gates in numbers of 106 bits, to be compared with the recursion.
class PreciseFrozen {
  public:
    PreciseFrozen(const Neurons& open, double width, double square, double y)
        : a_(open.a.begin(), open.a.end()),
          v_(open.v.begin(), open.v.end()),
          width_(width),
          square_(square),
          y_(y),
          root_(inverse_root(width)) {
        measure();
    }

    const State<DoubleDouble>& state() const { return state_; }
    std::size_t size() const { return a_.size(); }

    void advance(double eta) {
        const DoubleDouble to_v = DoubleDouble(eta) * state_.r * root_;
        const DoubleDouble to_a = to_v * DoubleDouble(square_);
        for (std::size_t i = 0; i < a_.size(); ++i) {
            const DoubleDouble a = a_[i] - to_a * v_[i];
            v_[i] = v_[i] - to_v * a_[i];
            a_[i] = a;
        }
        measure();
    }

  private:
    void measure() {
        DoubleDouble va, vv, aa;
        for (std::size_t i = 0; i < a_.size(); ++i) {
            va = va + v_[i] * a_[i];
            vv = vv + v_[i] * v_[i];
            aa = aa + a_[i] * a_[i];
        }
        state_.r = va * root_ - DoubleDouble(y_);
        state_.lambda = (DoubleDouble(square_) * vv + aa) / DoubleDouble(width_);
    }

    std::vector<DoubleDouble> a_, v_;
    double width_, square_, y_;
    DoubleDouble root_;
    State<DoubleDouble> state_{};
};

double square_of(const std::vector<double>& x) {  // |x|^2 / n0
    double sum = 0.0;
    for (const double value : x) sum += value * value;
    return sum / static_cast<double>(x.size());
}

// A network as drawn, and the numbers that its trainings share.
class Net {
  public:
    Net(const Nets& nets, std::uint64_t sample, Pulse& pulse)
        : width_(nets.width), y_(nets.y), square_(square_of(nets.x)) {
        draw(nets, sample, pulse);
        opened_ = static_cast<std::int64_t>(open_.a.size());
        for (auto* values : {&open_.a, &open_.v}) {
            values->resize((values->size() + kStride - 1) / kStride * kStride);
        }
        Neurons copy = open_;
        Sums sums;
        advance_frozen(copy.a.data(), copy.v.data(), copy.a.size(), 0.0, 0.0, &sums);
        z_ = z_of(sums);
        lambda_ = lambda_of(sums);
    }

    double lambda() const { return lambda_; }
    double z() const { return z_; }
    PreciseFrozen precise() const { return {open_, static_cast<double>(width_), square_, y_}; }
    DoubleDouble kappa() const {
        return DoubleDouble(square_) / DoubleDouble(static_cast<double>(width_));
    }
    bool alive() const { return opened_ > 0; }

    Problem problem(double eta) const { return {eta, square_ / static_cast<double>(width_), y_}; }

    // Trains, and calls observe(step, z, lambda, alive, flipped), which returns whether to
    // continue.
    template <class Observe>
    void train(Model model, double eta, std::size_t steps, Pulse& pulse, Observe&& observe) const {
        Neurons at = open_;  // a shut gate never opens, as its neuron has no gradient
        const double root = std::sqrt(static_cast<double>(width_));
        double z = z_;
        for (std::size_t step = 1; step <= steps; ++step) {
            const double to_v = eta * (z - y_) / root, to_a = to_v * square_;
            Sums sums;
            if (model == Model::frozen) {
                advance_frozen(at.a.data(), at.v.data(), at.a.size(), to_a, to_v, &sums);
                sums.open = opened_;
            } else {
                advance_relu(at.a.data(), at.v.data(), at.a.size(), to_a, to_v, &sums);
            }
            z = z_of(sums);
            const double flipped =
                static_cast<double>(opened_ - sums.open) / static_cast<double>(width_);
            if (!observe(step, z, lambda_of(sums), sums.open > 0, flipped)) return;
            pulse.work(at.a.size());
        }
    }

  private:
    void draw(const Nets& nets, std::uint64_t sample, Pulse& pulse) {
        constexpr std::size_t kPiece = 1024;
        const std::size_t d = nets.x.size();
        Stream stream(nets.seed, sample);
        std::vector<double> v(width_), a(width_), u(kPiece);
        stream.normals(v.data(), width_);
        const double root = std::sqrt(static_cast<double>(d));
        const std::size_t total = width_ * d;
        std::size_t row = 0, column = 0;
        for (std::size_t begin = 0; begin < total; begin += kPiece) {
            const std::size_t count = std::min(kPiece, total - begin);
            stream.normals(u.data(), count);
            pulse.work(count);
            for (std::size_t k = 0; k < count; ++k) {
                a[row] += u[k] * nets.x[column];
                if (++column == d) column = 0, ++row;
            }
        }
        for (std::size_t i = 0; i < width_; ++i) {
            if (!(a[i] > 0.0)) continue;
            open_.a.push_back(a[i] / root);
            open_.v.push_back(v[i]);
        }
    }

    double z_of(const Sums& sums) const { return sums.va / std::sqrt(static_cast<double>(width_)); }
    double lambda_of(const Sums& sums) const {
        return (square_ * sums.vv + sums.aa) / static_cast<double>(width_);
    }

    std::size_t width_;
    double y_, square_;
    Neurons open_;
    std::int64_t opened_ = 0;
    double z_ = 0.0, lambda_ = 0.0;
};

double rate_of(const Net& net, double value, bool relative_to_curvature) {
    if (!relative_to_curvature) return value;
    return net.alive() ? value / net.lambda() : 0.0;
}

Outcome dead_from_the_start(const Net& net, double eta) {
    Outcome out;
    out.ending = Ending::dead;
    out.eta = eta;
    out.peak = std::abs(net.problem(eta).y);
    return out;
}

Outcome ending_of(const Net& net, Model model, double eta, std::size_t steps, Pulse& pulse) {
    const Problem problem = net.problem(eta);
    if (!net.alive()) return dead_from_the_start(net, eta);
    if (model == Model::recursion) {
        return recursion_outcome(problem, net.z(), net.lambda(), steps, pulse);
    }
    Observer observer(problem, net.z() - problem.y, net.lambda());
    if (observer.converged()) return observer.outcome();
    net.train(model, eta, steps, pulse,
              [&](std::size_t step, double z, double lambda, bool alive, double) {
                  return observer.observe(step, z - problem.y, lambda, alive) &&
                         !observer.converged();
              });
    return observer.outcome();
}

// Writes one row of Trajectories.
struct Recorder {
    Problem problem;
    Trajectories* to;
    std::size_t first;  // index of the row's first state
    std::int64_t length = 0;
    Outcome outcome{};

    void put(double z, double lambda, double flipped = 0.0, double error = 0.0) {
        const std::size_t at = first + static_cast<std::size_t>(length++);
        to->z[at] = z;
        to->lambda[at] = lambda;
        to->flipped[at] = flipped;
        to->error[at] = error;
    }

    void dead_from_the_start(const Net& net) {
        put(net.z(), net.lambda());
        outcome = catapult::dead_from_the_start(net, problem.eta);
    }

    void follow(const Net& net, Model model, std::size_t steps, Pulse& pulse) {
        switch (model) {
            case Model::recursion:
                return recursion(net, steps, pulse);
            case Model::frozen:
                return frozen(net, steps, pulse);
            case Model::relu:
                return relu(net, steps, pulse);
        }
    }

  private:
    void recursion(const Net& net, std::size_t steps, Pulse& pulse) {
        const Trajectory found =
            trajectory(problem, net.kappa(), net.precise().state(), steps, pulse);
        for (std::size_t i = 0; i < found.z.size(); ++i) {
            put(found.z[i], found.lambda[i], 0.0, found.error[i]);
        }
        outcome = found.outcome;
    }

    void frozen(const Net& net, std::size_t steps, Pulse& pulse) {
        constexpr std::size_t kCost = 100;  // cost of a neuron, in units of that in doubles
        PreciseFrozen at = net.precise();
        Observer observer(problem, at.state().r.hi, at.state().lambda.hi);
        const DoubleDouble y = problem.y;
        put((at.state().r + y).hi, at.state().lambda.hi);
        for (std::size_t step = 1; step <= steps; ++step) {
            at.advance(problem.eta);
            if (!observer.observe(step, at.state().r.hi, at.state().lambda.hi, true)) break;
            put((at.state().r + y).hi, at.state().lambda.hi);
            pulse.work(kCost * at.size());
        }
        outcome = observer.outcome();
    }

    void relu(const Net& net, std::size_t steps, Pulse& pulse) {
        Observer observer(problem, net.z() - problem.y, net.lambda());
        put(net.z(), net.lambda());
        net.train(Model::relu, problem.eta, steps, pulse,
                  [&](std::size_t step, double z, double lambda, bool alive, double flipped) {
                      const bool on = observer.observe(step, z - problem.y, lambda, alive);
                      const bool diverged = observer.outcome().ending == Ending::diverged;
                      if (!diverged) put(z, lambda, flipped);
                      return on;
                  });
        outcome = observer.outcome();
    }
};

}  // namespace

std::vector<Outcome> train(const Nets& nets, const Rates& rates, std::size_t steps, int threads,
                           Monitor& monitor) {
    const std::size_t count = rates.values.size();
    const std::size_t chunks = (count + kRatesAtOnce - 1) / kRatesAtOnce;
    std::vector<Outcome> out(
        array_size("samples and rates", {nets.samples, count, models}, sizeof(Outcome)));
    parallel_for(nets.samples * chunks, threads, monitor, [&](std::size_t item, Pulse& pulse) {
        const std::size_t sample = item / chunks, first = item % chunks * kRatesAtOnce;
        const Net net(nets, nets.start + sample, pulse);
        for (std::size_t i = first; i < std::min(count, first + kRatesAtOnce); ++i) {
            const double eta = rate_of(net, rates.values[i], rates.relative_to_curvature);
            for (std::size_t model = 0; model < models; ++model) {
                out[(sample * count + i) * models + model] =
                    ending_of(net, static_cast<Model>(model), eta, steps, pulse);
            }
        }
    });
    return out;
}

Trajectories trajectories(const Nets& nets, const Rates& rate, std::size_t steps, int threads,
                          Monitor& monitor) {
    const std::size_t pitch = steps + 1;
    array_size("steps", {steps});  // throws if `pitch` has overflowed to 0
    const std::size_t rows = array_size("samples", {nets.samples, models}, sizeof(Outcome));
    const std::size_t numbers = array_size("samples and steps", {rows, pitch});
    Trajectories out;
    for (auto* values : {&out.z, &out.lambda, &out.flipped, &out.error}) values->resize(numbers);
    out.length.resize(rows);
    out.outcomes.resize(rows);
    parallel_for(rows, threads, monitor, [&](std::size_t row, Pulse& pulse) {
        const Net net(nets, nets.start + row / models, pulse);
        const double eta = rate_of(net, rate.values.at(0), rate.relative_to_curvature);
        Recorder recorder{net.problem(eta), &out, row * pitch};
        if (!net.alive()) {
            recorder.dead_from_the_start(net);
        } else {
            recorder.follow(net, static_cast<Model>(row % models), steps, pulse);
        }
        out.length[row] = recorder.length;
        out.outcomes[row] = recorder.outcome;
    });
    return out;
}

}  // namespace nnth::catapult
